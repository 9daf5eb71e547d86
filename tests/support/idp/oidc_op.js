// An OpenID provider made of npm `oidc-provider`: pushed requests, PKCE, back-channel logout; claims in the ID token.
// Started by tests/support/oidc_op.py with one JSON argument; prints one line of JSON when it serves and ends when its
// stdin closes.
import http from 'node:http';
import express from 'express';
import { Provider } from 'oidc-provider';

const start = JSON.parse(process.argv[2]);
const people = new Map(start.people.map((person) => [person.subject, person]));

function claimsOf(person) {
  return {
    sub: person.subject,
    email: person.email,
    email_verified: person.email_verified,
    name: person.name,
    groups: person.groups,
    ...person.claims,
  };
}

function configuration() {
  return {
    clients: start.clients,
    jwks: start.jwks,
    cookies: { keys: ['only for tests'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
    conformIdTokenClaims: false, // claims in the ID token, not at UserInfo alone
    pkce: { required: () => true },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
    features: {
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      registration: { enabled: false },
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, id) => people.has(id) && { accountId: id, claims: () => claimsOf(people.get(id)) },
    loadExistingGrant: grantEverything,
    // The package's own fetch refuses loopback, and back-channel logout goes there in tests.
    fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }),
    ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: start.id_token_seconds, Interaction: 600, Session: 3600, Grant: 3600 },
  };
}

// Consent is not what is tested: everybody has agreed to everything.
async function grantEverything(ctx) {
  const { provider, client, session } = ctx.oidc;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid email profile');
  await grant.save();
  return grant;
}

const loginPage = (uid) => `<!doctype html><html lang="en"><title>Sign in at the test provider</title>
<form method="post" action="/interaction/${uid}"><label>Email <input name="person" autofocus></label>
<button>Sign in</button></form></html>`;

// What was typed: an email of the directory, or a whole person as JSON, who then joins the directory.
function personOf(text) {
  if (!text.startsWith('{')) return [...people.values()].find((person) => person.email === text.trim());
  const person = JSON.parse(text);
  people.set(person.subject, person);
  return person;
}

function interactions(provider) {
  const app = express();
  app.use('/interaction', express.urlencoded({ extended: false }));
  app.get('/interaction/:uid', (req, res) => res.send(loginPage(req.params.uid)));
  app.post('/interaction/:uid', async (req, res) => {
    const person = personOf(req.body.person || '');
    if (!person) return res.status(403).send('nobody of that name');
    const result = { login: { accountId: person.subject, amr: ['pwd'] } };
    return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  });
  app.post('/control/people', express.json(), (req, res) => {
    for (const person of req.body) people.set(person.subject, person);
    res.end();
  });
  // Clients are asked for at each use: one that a test brings later is served like one from the start.
  app.post('/control/clients', express.json(), async (req, res) => {
    await provider.Client.adapter.upsert(req.body.client_id, req.body);
    res.end();
  });
  app.use(provider.callback());
  return app;
}

const server = http.createServer();
server.listen(start.port, start.bind || '127.0.0.1', () => {
  const { port } = server.address();
  const issuer = `http://${start.host}:${port}`;
  const provider = new Provider(issuer, configuration());
  provider.on('server_error', (ctx, error) => console.error(error));
  for (const event of ['authorization.error', 'grant.error', 'pushed_authorization_request.error', 'backchannel.error']) {
    provider.on(event, (...args) => console.error(event, args.find((arg) => arg instanceof Error)));
  }
  server.on('request', interactions(provider));
  console.log(JSON.stringify({ port, issuer }));
});
process.stdin.resume().on('end', () => process.exit(0));
