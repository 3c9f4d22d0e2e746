// Software that verifies access tokens: jose, express-oauth2-jwt-bearer, fastify with get-jwks.
import fastifyJWT from "@fastify/jwt";
import express from "express";
import {auth} from "express-oauth2-jwt-bearer";
import fastify from "fastify";
import buildGetJwks from "get-jwks";
import {createRemoteJWKSet, jwtVerify} from "jose";
import {issuer, audience, id, secret, exchange, subject, assert, did, refuses, end} from "./scene.mjs";

const response = await fetch(issuer + "/oauth/token", {
	method: "POST", body: new URLSearchParams({grant_type: exchange, ...subject}),
	headers: {Authorization: "Basic " + btoa(encodeURIComponent(id) + ":" + encodeURIComponent(secret))},
});
const tokens = await response.json();

const metadata = await (await fetch(issuer + "/.well-known/oauth-authorization-server")).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
const verify = (token) => jwtVerify(token, keys, {issuer, audience, typ: "at+jwt"});
assert.equal((await verify(tokens.access_token)).payload.sub, "alice");
did("jose verify");
await refuses("jose refuse", verify(tokens.refresh_token));

const status = async (url, token) => (await fetch(url, {headers: {Authorization: "Bearer " + token}})).status;

const site = express().use(auth({issuerBaseURL: issuer, audience})).get("/", (request, answer) => answer.send(request.auth.payload.sub));
site.use((error, request, answer, next) => answer.status(error.status ?? 500).end());
const listening = await new Promise((resolve) => { const server = site.listen(0, "127.0.0.1", () => resolve(server)); });
const express_url = `http://127.0.0.1:${listening.address().port}/`;
assert.equal(await status(express_url, tokens.access_token), 200);
did("express verify");
assert.equal(await status(express_url, tokens.refresh_token), 401);
did("express refuse");
listening.close();

const jwks = buildGetJwks({providerDiscovery: true, issuersWhitelist: [issuer]});
const app = fastify();
app.register(fastifyJWT, {
	decode: {complete: true},
	secret: (request, {header: {kid, alg}, payload: {iss}}) => jwks.getPublicKey({kid, alg, domain: iss}),
	verify: {allowedIss: issuer, allowedAud: audience},
});
app.get("/", async (request) => (await request.jwtVerify()).sub);
const fastify_url = await app.listen({port: 0, host: "127.0.0.1"});
assert.equal(await status(fastify_url, tokens.access_token), 200);
did("fastify verify");
assert.notEqual(await status(fastify_url, tokens.refresh_token), 200);
did("fastify refuse");
await app.close();
end();
