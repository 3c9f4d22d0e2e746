"""Authlib as a client, and as what verifies access tokens."""

import json
import os

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.jose.errors import JoseError

scene = json.loads(os.environ["SCENE"])
issuer = scene["issuer"]
done = []

metadata = requests.get(issuer + "/.well-known/oauth-authorization-server").json()
assert metadata["issuer"] == issuer
done.append("discovery")

client = OAuth2Session(scene["id"], scene["secret"], token_endpoint_auth_method="client_secret_basic",
                       revocation_endpoint_auth_method="client_secret_basic")
exchanged = client.fetch_token(
    metadata["token_endpoint"], grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token=scene["caller"], subject_token_type="urn:ietf:params:oauth:token-type:jwt")
done.append("exchange")
tokens = client.refresh_token(metadata["token_endpoint"], refresh_token=exchanged["refresh_token"])
assert tokens["refresh_token"] != exchanged["refresh_token"]
done.append("refresh")


def introspect(token):
    return client.introspect_token(metadata["introspection_endpoint"], token).json()


assert introspect(tokens["access_token"])["sub"] == "alice"
done.append("introspect")

keys = JsonWebKey.import_key_set(requests.get(metadata["jwks_uri"]).json())
options = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": scene["audience"]}}


def verify(token):
    claims = jwt.decode(token, keys, claims_options=options)
    claims.validate()
    return claims


assert verify(tokens["access_token"])["sub"] == "alice"
done.append("verify")
try:
    verify(tokens["refresh_token"])
except (JoseError, ValueError):
    done.append("refuse")

assert client.revoke_token(metadata["revocation_endpoint"], tokens["refresh_token"]).status_code == 200
assert introspect(tokens["access_token"]) == {"active": False}
done.append("revoke")
print(json.dumps(done))
