// An OpenID provider of the npm package oidc-provider. Whoever signs in is who they say.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import { serve } from './serve.mjs';

const keys = [];
const addKey = () => keys.unshift({ // it signs with the first
	...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig',
});

const api = 'https://app.example.com/auth/sessions';
const other = 'https://other.example.com';

const configuration = {
	clients: [
		{ client_id: 'app', client_secret: 'app-secret', redirect_uris: ['https://app.example.com/callback'], scope: 'openid', id_token_signed_response_alg: 'ES256' },
		{ client_id: 'desk', client_secret: 'desk-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'sessions:impersonate', id_token_signed_response_alg: 'ES256' },
	],
	enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
	features: {
		clientCredentials: { enabled: true },
		devInteractions: { enabled: true },
		resourceIndicators: {
			enabled: true,
			defaultResource: () => undefined,
			useGrantedResource: () => true,
			getResourceServerInfo: (ctx, resource) => ({
				audience: [api, other].find((known) => known === resource),
				scope: 'sessions:impersonate',
				accessTokenFormat: 'jwt',
				jwt: { sign: { alg: 'ES256' } },
			}),
		},
	},
	scopes: ['openid', 'sessions:impersonate'],
};

await serve((url) => {
	let handle;
	const rotate = () => {
		addKey();
		handle = new Provider(url, { ...configuration, jwks: { keys: [...keys] } }).callback();
	};
	rotate();
	return { handle: (req, res) => handle(req, res), rotate };
});
