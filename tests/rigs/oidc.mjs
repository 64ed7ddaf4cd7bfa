#!/usr/bin/env node
// Authorization server: oidc-provider, in memory, with every refresh token good for one use.
import Provider from 'oidc-provider';
import { clients } from './clients.mjs';
import { listen, options, ready } from './rig.mjs';

const args = options({
  'access-ttl': { type: 'string', default: '600' },
  'refuse-login': { type: 'boolean', default: false },
});
const accessTtl = Number(args['access-ttl']);
const { server, url } = await listen(args);

const stats = {
  grants: { authorization_code: 0, refresh_token: 0, client_credentials: 0 },
  refresh_reuse: 0,
  refused: 0,
  revoked: 0,
  families_revoked: 0,
  access_tokens_issued: 0,
};

const provider = new Provider(url, {
  clients,
  scopes: ['openid', 'offline_access', 'api'],
  pkce: { required: () => true },
  ttl: { AccessToken: accessTtl, ClientCredentials: accessTtl, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600 },
  rotateRefreshToken: true,
  // By its default the provider gives no refresh token without `prompt=consent`; most services we pull from do.
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  cookies: { keys: ['rig'] },
  features: {
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === 'guard' },
    // One audience for all, whether or not the request named a resource.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:haul:api',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'api', audience: 'urn:haul:api', accessTokenTTL: accessTtl, accessTokenFormat: 'opaque' }),
    },
  },
});

provider.on('grant.success', (ctx) => {
  stats.grants[ctx.oidc.params.grant_type] += 1;
  stats.access_tokens_issued += 1;
});
provider.on('grant.error', (ctx, error) => {
  stats.refused += 1;
  if (error.error_detail === 'refresh token already used') stats.refresh_reuse += 1;
  console.error(`refused: ${error.error}: ${error.error_detail ?? error.error_description}`);
});
provider.on('grant.revoked', () => { stats.families_revoked += 1; });
provider.on('server_error', (ctx, error) => console.error(error));

provider.use(async (ctx, next) => {
  if (ctx.path === '/_stats') {
    ctx.body = stats;
    return;
  }
  // The user who says no: straight to the page's own "cancel" link.
  if (args['refuse-login'] && /^\/interaction\/[^/]+$/.test(ctx.path)) {
    ctx.redirect(`${ctx.path}/abort`);
    return;
  }
  await next();
  if (ctx.oidc?.route === 'revocation' && ctx.status === 200) stats.revoked += 1;
});

server.on('request', provider.callback());
ready(args, {
  url,
  issuer: url,
  authorization_endpoint: `${url}/auth`,
  token_endpoint: `${url}/token`,
  revocation_endpoint: `${url}/token/revocation`,
  introspection_endpoint: `${url}/token/introspection`,
  discovery: `${url}/.well-known/openid-configuration`,
  clients: Object.fromEntries(clients.map((c) => [c.client_id, { secret: c.client_secret ?? null, auth: c.token_endpoint_auth_method }])),
});
