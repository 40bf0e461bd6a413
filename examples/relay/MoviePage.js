// A movie page in Relay: fragments, a list that grows, and a mutation whose answer updates the page.
import { graphql } from "relay-runtime";

export const page = graphql`
  query MoviePageQuery($id: ID!) {
    node(id: $id) {
      ...MoviePage_movie
      ...MoviePage_similar
    }
  }
`;

export const movie = graphql`
  fragment MoviePage_movie on Movie {
    title
    year
    posterUrl
    ratingHistogram { stars count }
    viewer {
      onWatchlist
      rating { stars }
      match { matchPercent reasons { reasonKind text } }
    }
  }
`;

export const similar = graphql`
  fragment MoviePage_similar on Movie
  @argumentDefinitions(first: { type: "Int", defaultValue: 12 }, after: { type: "String" })
  @refetchable(queryName: "MoviePageSimilarQuery") {
    similar(first: $first, after: $after) @connection(key: "MoviePage_similar") {
      edges { similarity reasons { reasonKind text } node { id title posterUrl } }
    }
  }
`;

export const rate = graphql`
  mutation MoviePageRateMutation($input: RateMovieInput!) {
    rateMovie(input: $input) {
      ... on RateMoviePayload {
        rating { stars movie { id averageRating ratingHistogram { stars count } viewer { rating { stars } } } }
      }
      ... on Error { message }
    }
  }
`;
