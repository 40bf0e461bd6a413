// urql: automatic persisted queries by GET, @defer, and a subscription as an event stream.
import assert from "node:assert/strict";
import { Client, fetchExchange, gql } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";

const [url, token] = process.argv.slice(2);
const asked = [];
const client = new Client({
  url,
  exchanges: [persistedExchange({ preferGetForPersistedQueries: true }), fetchExchange],
  fetch: (uri, options) => (asked.push([options.method, String(uri)]), fetch(uri, options)),
  fetchOptions: { headers: { Authorization: `Bearer ${token}` } },
  fetchSubscriptions: true,
  requestPolicy: "network-only",
});

const mine = gql(`query Viewer${Date.now()} { viewer { username } }`); // a new document
for (let time = 0; time < 2; time++) {
  const { data, error } = await client.query(mine, {}).toPromise();
  assert.equal(error, undefined);
  assert.ok(data.viewer.username);
}
assert.deepEqual(asked.map(([method, uri]) => [method, new URL(uri).searchParams.has("query")]), [
  ["GET", false],
  ["GET", true],
  ["GET", false],
]);

const results = [];
const deferred = gql`{ movies(first: 1) { edges { node { id ... @defer { similar(first: 2) { edges { similarity } } } } } } }`;
await new Promise((done) =>
  client.query(deferred, {}).subscribe((result) => {
    results.push(result);
    if (!result.hasNext) done();
  }),
);
assert.equal(results.at(-1).error, undefined);
assert.equal(results[0].data.movies.edges[0].node.similar, undefined);
assert.equal(results.at(-1).data.movies.edges[0].node.similar.edges.length, 2);

const changed = new Promise((done) =>
  client.subscription(gql`subscription { recommendationsChanged { changedAt } }`, {}).subscribe(done),
);
const rate = gql`mutation Rate($id: ID!) { rateMovie(input: { movieId: $id, stars: 4 }) { __typename } }`;
const again = setInterval(
  () => client.mutation(rate, { id: results[0].data.movies.edges[0].node.id }).toPromise(),
  200, // until the subscription is active
);
const event = await changed;
clearInterval(again);
assert.equal(event.error, undefined);
assert.ok(event.data.recommendationsChanged.changedAt);
process.exit(0);
