"""Operations compiled to Python functions, which give the same answers as graphql-core's execution."""
