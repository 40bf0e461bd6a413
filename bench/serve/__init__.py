"""Processor time of requests: of the usual ones in a service, and of a page of movies beside peers."""
