import {AuthorizationCode} from "simple-oauth2";
import {issuer, id, secret, exchange, subject, assert, did, refuses, end} from "./scene.mjs";

const client = new AuthorizationCode({client: {id, secret}, auth: {tokenHost: issuer, tokenPath: "/oauth/token", revokePath: "/oauth/revoke"}});
// It knows no exchange: what another part got.
const response = await fetch(issuer + "/oauth/token", {
	method: "POST", body: new URLSearchParams({grant_type: exchange, ...subject}),
	headers: {Authorization: "Basic " + btoa(encodeURIComponent(id) + ":" + encodeURIComponent(secret))},
});
const tokens = await client.createToken(await response.json()).refresh();
assert.ok(tokens.token.refresh_token);
did("refresh");
await tokens.revoke("refresh_token");
await refuses("revoke", tokens.refresh());
end();
