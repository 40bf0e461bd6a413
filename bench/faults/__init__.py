"""Kill the processes of a running system, and check that nothing acknowledged is lost or doubled."""
