// What the clients are run with, and how they say what they did.
import assert from "node:assert/strict";

export const {issuer, audience, id, secret, caller} = JSON.parse(process.env.SCENE);
export const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
export const subject = {subject_token: caller, subject_token_type: "urn:ietf:params:oauth:token-type:jwt"};
export {assert};

const done = [];
export const did = (step) => done.push(step);
export const refuses = (step, promise) => assert.rejects(promise).then(() => did(step));
export const end = () => console.log(JSON.stringify(done));
