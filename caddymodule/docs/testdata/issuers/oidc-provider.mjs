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

// Where it says who signed out, if anywhere.
const logout = process.env.BACKCHANNEL_LOGOUT_URI
	? { backchannel_logout_uri: process.env.BACKCHANNEL_LOGOUT_URI, backchannel_logout_session_required: true }
	: {};

// A site whose people sign in here, where there is one, and its other names: as a client with a secret,
// and without.
const [site, ...names] = (process.env.SIGN_IN_SITE ?? '').split(' ');
const people = {
	redirect_uris: [site, ...names].map((name) => `${name}/auth/sessions/sign-in/callback`), post_logout_redirect_uris: [`${site}/auth/sessions/signed-out`], scope: 'openid', id_token_signed_response_alg: 'ES256', ...logout,
};
const clients = site ? [
	{ ...people, client_id: 'site', client_secret: 'site-secret' },
	{ ...people, client_id: 'public-site', token_endpoint_auth_method: 'none' },
] : [];

// Where the app is a tool of its own, if anywhere.
const tool = process.env.TOOL ? [`${process.env.TOOL}/callback`] : [];

const configuration = {
	clients: [
		...clients,
		{ client_id: 'app', client_secret: 'app-secret', redirect_uris: ['https://app.example.com/callback', ...tool], scope: 'openid', id_token_signed_response_alg: 'ES256', ...logout },
		{ client_id: 'desk', client_secret: 'desk-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'sessions:impersonate', id_token_signed_response_alg: 'ES256' },
	],
	// Its own dispatcher keeps it from asking this machine, where the tests are.
	fetch: (url, { dispatcher, ...options }) => fetch(url, options),
	enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
	features: {
		backchannelLogout: { enabled: true },
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
