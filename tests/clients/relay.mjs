// relay-compiler: the SDL serves connections with @connection, @refetchable nodes, and mutations' unions.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [schema, folder] = process.argv.slice(2);
const source = join(folder, "source");
mkdirSync(source, { recursive: true });
writeFileSync(
  join(source, "films.js"),
  `import { graphql } from "relay-runtime";
graphql\`query filmsQuery($id: ID!, $ids: [ID!]!) {
  node(id: $id) { ...films_film @alias(as: "film") }
  nodes(ids: $ids) { id ... on Movie { title } }
  ...films_list
}\`;
graphql\`fragment films_film on Movie @refetchable(queryName: "filmsFilmRefetchQuery") {
  id title
  similar(first: 5) { edges { similarity node { id } } }
}\`;
graphql\`fragment films_list on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "String" })
  @refetchable(queryName: "filmsListPaginationQuery") {
  movies(first: $first, after: $after) @connection(key: "films_movies") {
    totalCount
    edges { node { id ...films_film @defer(label: "film") } }
  }
}\`;
graphql\`mutation filmsRateMutation($input: RateMovieInput!) {
  rateMovie(input: $input) {
    ... on RateMoviePayload { rating { id stars movie { id averageRating } } }
    ... on Error { message }
  }
}\`;
graphql\`subscription filmsChangedSubscription {
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
  "filmsChangedSubscription.graphql.js",
  "filmsFilmRefetchQuery.graphql.js",
  "filmsListPaginationQuery.graphql.js",
  "filmsQuery.graphql.js",
  "filmsRateMutation.graphql.js",
  "films_film.graphql.js",
  "films_list.graphql.js",
]);
