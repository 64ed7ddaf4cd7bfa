// The clients that the authorization server knows; invented secrets, good for nothing else.
const native = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback', 'http://127.0.0.1/', 'http://localhost/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scope: 'openid offline_access api',
};
const machine = { redirect_uris: [], grant_types: ['client_credentials'], response_types: [] };

export const clients = [
  { ...native, client_id: 'haul-public', token_endpoint_auth_method: 'none' },
  // RFC 6749 2.3.1: the secret is form-encoded before Basic's base64. These characters show who forgot it.
  { ...native, client_id: 'haul-basic', client_secret: 's3cret:+/%&= 20%2B', token_endpoint_auth_method: 'client_secret_basic' },
  { ...native, client_id: 'haul-post', client_secret: 'post:+/%&=secret', token_endpoint_auth_method: 'client_secret_post' },
  { ...machine, client_id: 'haul-cc', client_secret: 'cc:+/%&=secret', token_endpoint_auth_method: 'client_secret_basic', scope: 'api' },
  { ...machine, client_id: 'guard', client_secret: 'guard-secret', token_endpoint_auth_method: 'client_secret_basic' },
];
