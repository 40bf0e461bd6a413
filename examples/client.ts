// A typed request with nothing but fetch: the types of the answer and of the variables follow from the document.
import { print } from "graphql";
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { readFragment } from "./generated";
import { MovieCardFragmentDoc, MovieScreenDocument, WatchlistScreenDocument } from "./generated/graphql";

const API = new URL("http://127.0.0.1:8000/graphql");

export async function ask<Result, Variables>(
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
  accessToken?: string,
): Promise<Result> {
  const answer = await fetch(API, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(accessToken && { Authorization: `Bearer ${accessToken}` }),
    },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = await answer.json();
  if (!data) throw new Error(errors.map((error: { message: string }) => error.message).join("; "));
  return data;
}

export async function reasonsOf(id: string): Promise<string[]> {
  const { movie } = await ask(MovieScreenDocument, { id });
  return movie?.viewer?.match?.reasons.map((reason) => `${reason.reasonKind}: ${reason.text}`) ?? [];
}

export async function postersOfTheWatchlist(accessToken: string): Promise<URL[]> {
  const { viewer } = await ask(WatchlistScreenDocument, { orderBy: { field: "TITLE" } }, accessToken);
  const cards = viewer?.watchlist.nodes.map((movie) => readFragment(MovieCardFragmentDoc, movie)) ?? [];
  // A drawn poster has a path on the API's origin.
  return cards.map((card) => new URL(card.posterUrl ?? "", API));
}
