// Apache's successor of gocql, which has a name of its own; `run` builds the same program with it, imports renamed.
module weir/tests/clients

go 1.25.0

require (
	github.com/apache/cassandra-gocql-driver/v2 v2.1.2
	gopkg.in/inf.v0 v0.9.1
)
