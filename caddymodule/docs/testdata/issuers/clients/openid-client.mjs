import * as oauth from "openid-client";
import {issuer, id, secret, exchange, subject, assert, did, refuses, end} from "./scene.mjs";

const config = await oauth.discovery(new URL(issuer), id, secret, oauth.ClientSecretBasic(secret), {execute: [oauth.allowInsecureRequests]});
did("discovery");
const exchanged = await oauth.genericGrantRequest(config, exchange, subject);
assert.equal(exchanged.issued_token_type, "urn:ietf:params:oauth:token-type:access_token");
did("exchange");
const tokens = await oauth.refreshTokenGrant(config, exchanged.refresh_token);
did("refresh");
const claims = await oauth.tokenIntrospection(config, tokens.access_token);
assert.equal(claims.active, true);
assert.equal(claims.sub, "alice");
did("introspect");
await oauth.tokenRevocation(config, tokens.refresh_token);
assert.deepEqual(await oauth.tokenIntrospection(config, tokens.access_token), {active: false});
did("revoke");
await refuses("refuse", oauth.refreshTokenGrant(config, tokens.refresh_token));
end();
