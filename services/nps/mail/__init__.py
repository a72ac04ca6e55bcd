"""Invitations by mail: what they say, the queue they wait in, and the worker that hands them to the tenant's server."""
