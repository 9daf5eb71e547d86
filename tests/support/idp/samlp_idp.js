// A SAML identity provider made of npm `samlp`: what it signs, encrypts and says is chosen per login.
// Started by tests/support/samlp_idp.py with one JSON argument; prints one line of JSON when it serves and ends when
// its stdin closes.
import http from 'node:http';
import express from 'express';
import samlp from 'samlp';

const start = JSON.parse(process.argv[2]);
const people = new Map(start.people.map((person) => [person.email, person]));
let defaults = {};

const NAME_ID_FORMAT = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified';

function mapperOf(person, options) {
  return () => ({
    getClaims: () => person.attributes,
    getNameIdentifier: () => ({
      nameIdentifier: person.subject,
      nameIdentifierFormat: options.name_id_format || NAME_ID_FORMAT,
    }),
  });
}

// One login's answer; `request` is what the service provider asked for, empty when nobody asked.
function answer(person, request, options) {
  const acs = options.acs || request.assertionConsumerServiceURL;
  const pair = options.other_key ? start.other : start.main;
  const sign = options.sign || 'assertion';
  return samlp.auth({
    issuer: options.issuer || start.entity_id,
    cert: pair.certificate,
    key: pair.key,
    audience: options.audience || request.issuer,
    recipient: options.recipient || acs,
    destination: options.destination || acs,
    inResponseTo: options.in_response_to,
    signAssertion: sign === 'assertion' || sign === 'both',
    signResponse: sign === 'response' || sign === 'both',
    signatureAlgorithm: options.sha1 ? 'rsa-sha1' : 'rsa-sha256',
    digestAlgorithm: options.sha1 ? 'sha1' : 'sha256',
    lifetimeInSeconds: options.lifetime_seconds || 300,
    sessionIndex: options.session_index || undefined,
    authnContextClassRef: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
    encryptionCert: options.encrypt_for || undefined,
    encryptionPublicKey: options.encrypt_for || undefined,
    encryptionAlgorithm: options.encryption_algorithm || 'http://www.w3.org/2009/xmlenc11#aes256-gcm',
    disallowEncryptionWithInsecureAlgorithm: false,
    warnOnInsecureEncryptionAlgorithm: false,
    profileMapper: mapperOf(person, options),
    getUserFromRequest: () => person,
    getPostURL: (audience, dom, req, done) => done(null, acs),
  });
}

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function loginPage(action, relayState) {
  return `<!doctype html><html lang="en"><title>Sign in at the test provider</title>
<form method="post" action="${escape(action)}"><label>Email <input name="person" autofocus></label>
<input type="hidden" name="RelayState" value="${escape(relayState || '')}"><input type="hidden" name="options" value="{}">
<button>Sign in</button></form></html>`;
}

// What was typed: an email of the directory, or a whole person as JSON.
const personOf = (text) => (text.startsWith('{') ? JSON.parse(text) : people.get(text.trim()));

const app = express();
app.use(express.urlencoded({ extended: false, limit: '1mb' }), express.json());
app.get('/metadata', samlp.metadata({
  issuer: start.entity_id,
  cert: start.main.certificate,
  redirectEndpointPath: '/sso',
  postEndpointPath: '/sso',
  logoutEndpointPaths: {},
}));
app.get('/sso', (req, res) => res.send(loginPage(req.originalUrl, req.query.RelayState)));
app.post('/sso', (req, res, next) => {
  const person = personOf(req.body.person || '');
  if (!person) return res.status(403).send('nobody of that name');
  const options = { ...defaults, ...JSON.parse(req.body.options || '{}') };
  samlp.parseRequest(req, (error, request) => (error ? next(error) : answer(person, request || {}, options)(req, res, next)));
});
app.post('/control/defaults', (req, res) => {
  defaults = req.body;
  res.end();
});
app.post('/control/people', (req, res) => {
  for (const person of req.body) people.set(person.email, person);
  res.end();
});

const server = http.createServer(app);
server.listen(start.port, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.resume().on('end', () => process.exit(0));
