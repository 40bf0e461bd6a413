// relay-compiler: the SDL supports connections with @connection, @refetchable nodes, and mutations' unions.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [schema, folder] = process.argv.slice(2);
const source = join(folder, "source");
mkdirSync(source, { recursive: true });
writeFileSync(
  join(source, "movies.js"),
  `import { graphql } from "relay-runtime";
graphql\`query moviesQuery($id: ID!, $ids: [ID!]!) {
  node(id: $id) { ...movies_movie @alias(as: "movie") }
  nodes(ids: $ids) { id ... on Movie { title } }
  ...movies_list
}\`;
graphql\`fragment movies_movie on Movie @refetchable(queryName: "moviesMovieRefetchQuery") {
  id title
  similar(first: 5) { edges { similarity node { id } } }
}\`;
graphql\`fragment movies_list on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "String" })
  @refetchable(queryName: "moviesListPaginationQuery") {
  movies(first: $first, after: $after) @connection(key: "movies_movies") {
    totalCount
    edges { node { id ...movies_movie @defer(label: "movie") } }
  }
}\`;
graphql\`mutation moviesRateMutation($input: RateMovieInput!) {
  rateMovie(input: $input) {
    ... on RateMoviePayload { rating { id stars movie { id averageRating } } }
    ... on Error { message }
  }
}\`;
graphql\`subscription moviesChangedSubscription {
  recommendationsChanged { recommendations(first: 10) { edges { node { id } } } }
}\`;
`,
);
const config = join(folder, "relay.config.json");
writeFileSync(config, JSON.stringify({ src: source, schema, language: "javascript", eagerEsModules: true }));
const compiler = join(import.meta.dirname, "node_modules", "relay-compiler", "cli.js");
execFileSync(process.execPath, [compiler, config], { stdio: "inherit", cwd: folder });
const made = readdirSync(join(source, "__generated__")).sort();
assert.deepEqual(made, [
  "moviesChangedSubscription.graphql.js",
  "moviesListPaginationQuery.graphql.js",
  "moviesMovieRefetchQuery.graphql.js",
  "moviesQuery.graphql.js",
  "moviesRateMutation.graphql.js",
  "movies_list.graphql.js",
  "movies_movie.graphql.js",
]);
