// Apollo Client: automatic persisted queries by GET, @defer, and subscriptions over a websocket and over HTTP.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { Defer20220824Handler, GraphQL17Alpha9Handler } from "@apollo/client/incremental";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const asked = [];
const http = new HttpLink({
  uri: url,
  fetch: (uri, options) => (asked.push([options.method, String(uri)]), fetch(uri, options)),
});
const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: true });
const clientOf = (link, incrementalHandler = new Defer20220824Handler()) =>
  new ApolloClient({ link, cache: new InMemoryCache(), incrementalHandler });

// A new document. The first request has its text, later ones only the hash, in a cacheable URL.
const genres = gql(`query Genres${Date.now()} { genres { id name } }`);
for (let time = 0; time < 2; time++) {
  const client = clientOf(ApolloLink.from([persisted, http]));
  const { data } = await client.query({ query: genres });
  assert.ok(data.genres.length > 5);
}
assert.deepEqual(asked.map(([method]) => method), ["GET", "POST", "GET"]);
assert.ok(!asked[2][1].includes("query="));

const deferred = gql`
  query Deferred { movies(first: 2) { edges { node { id title ... @defer { similar(first: 2) { edges { similarity } } } } } } }
`;
for (const handler of [new Defer20220824Handler(), new GraphQL17Alpha9Handler()]) {
  const states = [];
  await new Promise((done, failed) => {
    const query = clientOf(http, handler).watchQuery({ query: deferred });
    query.subscribe({
      next: (state) => {
        states.push(state);
        if (state.error) failed(state.error);
        if (state.dataState === "complete") done();
      },
      error: failed,
    });
  });
  const first = states.find(({ data }) => data);
  assert.equal(first.dataState, "streaming");
  assert.equal(first.data.movies.edges[1].node.similar, undefined);
  assert.equal(states.at(-1).data.movies.edges[1].node.similar.edges.length, 2);
}

const socket = createClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: headers });
for (const link of [new GraphQLWsLink(socket), new HttpLink({ uri: url, headers })]) {
  const subscription = gql`subscription { recommendationsChanged { recommendations(first: 3) { strategy } } }`;
  const changed = new Promise((done, failed) => {
    clientOf(link).subscribe({ query: subscription }).subscribe({ next: done, error: failed });
  });
  const member = clientOf(new HttpLink({ uri: url, headers }));
  const { data } = await member.query({ query: gql`{ movies(first: 1) { edges { node { id } } } }` });
  const mutation = gql`mutation Rate($id: ID!) { rateMovie(input: { movieId: $id, stars: 4 }) { __typename } }`;
  const rate = () => member.mutate({ mutation, variables: { id: data.movies.edges[0].node.id } });
  const again = setInterval(rate, 200); // until the subscription stands
  const { data: event } = await changed;
  clearInterval(again);
  assert.equal(event.recommendationsChanged.recommendations.strategy, "PERSONALIZED");
}
process.exit(0);
