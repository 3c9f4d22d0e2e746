import * as oauth from "oauth4webapi";
import {issuer, audience, id, secret, exchange, subject, assert, did, refuses, end} from "./scene.mjs";

const insecure = {[oauth.allowInsecureRequests]: true};
const url = new URL(issuer);
const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, {algorithm: "oauth2", ...insecure}));
await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, {algorithm: "oidc", ...insecure}));
did("discovery");

const client = {client_id: id};
for (const authentication of [oauth.ClientSecretBasic(secret), oauth.ClientSecretPost(secret)]) {
	const exchanged = await oauth.processGenericTokenEndpointResponse(as, client,
		await oauth.genericTokenEndpointRequest(as, client, authentication, exchange, subject, insecure));
	did("exchange");
	const tokens = await oauth.processRefreshTokenResponse(as, client,
		await oauth.refreshTokenGrantRequest(as, client, authentication, exchanged.refresh_token, insecure));
	assert.notEqual(tokens.refresh_token, exchanged.refresh_token);
	did("refresh");
	const ask = async (token) => oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, authentication, token, insecure));
	const claims = await ask(tokens.access_token);
	assert.equal(claims.active, true);
	assert.equal(claims.sub, "alice");
	did("introspect");
	const request = (token) => new Request("https://api.example.com/", {headers: {Authorization: "Bearer " + token}});
	assert.equal((await oauth.validateJwtAccessToken(as, request(tokens.access_token), audience, insecure)).sub, "alice");
	did("verify");
	await refuses("refuse", oauth.validateJwtAccessToken(as, request(tokens.refresh_token), audience, insecure));
	await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, tokens.refresh_token, insecure));
	assert.deepEqual(await ask(tokens.access_token), {active: false});
	did("revoke");
}
end();
