// graphql-ws: signs in by the payload of connection_init, runs operations of each kind, and gets errors for forbidden ones.
import assert from "node:assert/strict";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token] = process.argv.slice(2);
const connect = (connectionParams) =>
  createClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 });
const client = connect({ authorization: `Bearer ${token}` });
const ask = async (query, variables) => (await client.iterate({ query, variables }).next()).value;

const { data } = await ask("{ viewer { username } movies(first: 1) { edges { node { id } } } }");
assert.ok(data.viewer.username);

const changes = client.iterate({ query: "subscription { recommendationsChanged { changedAt } }" });
const changed = changes.next();
const rate = "mutation Rate($id: ID!) { rateMovie(input: { movieId: $id, stars: 4 }) { __typename } }";
const again = setInterval(() => ask(rate, { id: data.movies.edges[0].node.id }), 200); // until the subscription is active
assert.ok((await changed).value.data.recommendationsChanged.changedAt);
clearInterval(again);
await changes.return();

await assert.rejects(client.iterate({ query: "{ nope }" }).next(), (errors) => {
  assert.equal(errors[0].extensions.code, "BAD_USER_INPUT");
  return true;
});
await assert.rejects(connect({ Authorization: "Bearer forged" }).iterate({ query: "{ __typename }" }).next(), { code: 4403 });

// Logging out ends the subscriptions of the session.
const last = client.iterate({ query: "subscription { recommendationsChanged { changedAt } }" });
const ended = last.next();
await new Promise((done) => setTimeout(done, 300));
await fetch(url, {
  method: "POST",
  headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
  body: JSON.stringify({ query: "mutation { logOut { __typename } }" }),
});
assert.equal((await ended).value.errors[0].extensions.code, "UNAUTHENTICATED");
assert.equal((await last.next()).done, true);
process.exit(0);
