// The authorization server `oidc-provider`: refresh tokens rotate at every use, and a used one that comes again revokes
// its family. `/_stats` tells what it saw.
//
// With `--entra-tenant` the token endpoint stands where Microsoft Entra has it, and the scope of Power BI is known;
// `/_token?value=…` tells what a token of a client is good for.
//
//   node oidc.mjs [--port N] [--access-ttl SECONDS] [--refuse-login] [--entra-tenant NAME] [--stay]
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

// The library writes notices to standard output, which belongs to the line that says we are ready.
console.info = console.warn = console.log = console.error;
const { default: Provider } = await import("oidc-provider");
const { listen, options, ready, sendJson } = await import("./common.mjs");

const option = options();
const tenant = option["entra-tenant"];
const accessTtl = Number(option["access-ttl"] ?? 600);
const stats = { grants: {}, refresh_reuse: 0, refused: 0, revoked: 0, access_tokens_issued: 0 };
// Characters that must be form-encoded before base64 (RFC 6749 section 2.3.1).
const ccSecret = "cc:secret+with/%&";
let provider;

const server = createServer(async (request, response) => {
  if (request.url === "/_stats") return sendJson(response, stats);
  if (request.url.startsWith("/_token?")) {
    const token = await provider.ClientCredentials.find(new URL(request.url, url).searchParams.get("value"));
    return sendJson(response, { is_known: Boolean(token), client_id: token?.clientId, scope: token?.scope });
  }
  if (option["refuse-login"] && request.url.startsWith("/interaction/")) {
    const refusal = { error: "access_denied", error_description: "the user said no" };
    return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
  }
  return provider.callback()(request, response);
});
const url = await listen(server, option.port);
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = ({ privateKey }) => privateKey.export({ type: "pkcs8", format: "pem" });
/** A client that proves itself with a key. */
const withKey = (client_id, { publicKey }, alg) => ({
  client_id,
  token_endpoint_auth_method: "private_key_jwt",
  token_endpoint_auth_signing_alg: alg,
  jwks: { keys: [{ ...publicKey.export({ format: "jwk" }), kid: client_id, use: "sig", alg }] },
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
});
const itself = { grant_types: ["client_credentials"], redirect_uris: [], response_types: [] };
const deviceCode = "urn:ietf:params:oauth:grant-type:device_code";
const code = { grant_types: ["authorization_code", "refresh_token"], redirect_uris: ["http://127.0.0.1/callback"] };
provider = new Provider(url, {
  clients: [
    { client_id: "haul-public", application_type: "native", token_endpoint_auth_method: "none", ...code, grant_types: [...code.grant_types, deviceCode] },
    { client_id: "haul-cc", client_secret: ccSecret, ...itself },
    { client_id: "haul-post", client_secret: ccSecret, token_endpoint_auth_method: "client_secret_post", ...itself },
    withKey("haul-rs256", rsa, "RS256"),
    withKey("haul-ps256", rsa, "PS256"),
    withKey("haul-es256", p256, "ES256"),
    // The daemon's own page.
    { client_id: "haul-page", client_secret: "page-canary-secret", application_type: "native", redirect_uris: ["http://127.0.0.1/login/callback"], grant_types: ["authorization_code"] },
    { client_id: "guard", client_secret: "guard-secret", grant_types: [], redirect_uris: [], response_types: [] },
  ],
  scopes: ["openid", "offline_access", "api", "email", "https://analysis.windows.net/powerbi/api/.default"],
  ...(tenant ? { routes: { token: `/${tenant}/oauth2/v2.0/token` } } : {}),
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  // As most providers do: what is asked for stands in the ID token.
  conformIdTokenClaims: false,
  features: {
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
  },
  ttl: { AccessToken: accessTtl, ClientCredentials: accessTtl, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600 },
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  issueRefreshToken: async (_, client) => client.grantTypeAllowed("refresh_token"),
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }) }),
});
provider.on("grant.success", (context) => {
  const grant = context.oidc.params.grant_type;
  stats.grants[grant] = (stats.grants[grant] ?? 0) + 1;
});
provider.on("grant.error", (_, error) => {
  stats.refused += 1;
  if (/already used/.test(error.error_detail ?? "")) stats.refresh_reuse += 1;
});
provider.on("access_token.issued", () => (stats.access_tokens_issued += 1));
provider.on("grant.revoked", () => (stats.revoked += 1));
provider.on("server_error", (_, error) => console.error(error));
ready({ url, cc_secret: ccSecret, rsa_pem: pem(rsa), p256_pem: pem(p256) }, option);
