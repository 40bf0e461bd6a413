// An OIDC provider on a free port of loopback: node oidc-provider.mjs KEY_ID [PORT]. Prints its address.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [keyId, port = "0"] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwk = { ...privateKey.export({ format: "jwk" }), kid: keyId, use: "sig", alg: "RS256" };
const API = "https://marquee.example";

const configuration = {
  jwks: { keys: [jwk] },
  clients: [
    {
      client_id: "front",
      application_type: "native",
      token_endpoint_auth_method: "none",
      redirect_uris: ["http://127.0.0.1/callback"],
    },
  ],
  cookies: { keys: ["of the tests"] },
  extraTokenClaims: (_context, token) => ({
    realm_access: { roles: token.accountId === "boss" ? ["offline", "ADMIN"] : ["offline"] },
  }),
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => API,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => ({
        scope: "openid",
        audience: resource === API ? "marquee" : "another",
        accessTokenFormat: "jwt",
        accessTokenTTL: 60,
      }),
    },
  },
};

const server = await new Promise((resolve) => {
  const listening = createServer().listen(Number(port), "127.0.0.1", () => resolve(listening));
});
const issuer = `http://127.0.0.1:${server.address().port}`;
server.on("request", new Provider(issuer, configuration).callback());
console.log(issuer);
