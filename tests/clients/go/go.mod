// The Go clients: ScyllaDB's fork of gocql, which goes by the name of the original, and its reader of CDC logs.
module weir/tests/clients

go 1.25.0

require (
	github.com/gocql/gocql v1.17.0
	gopkg.in/inf.v0 v0.9.1
)

require (
	github.com/google/uuid v1.6.0 // indirect
	github.com/klauspost/compress v1.18.4 // indirect
	github.com/scylladb/scylla-cdc-go v1.2.1
	golang.org/x/sync v0.19.0 // indirect
)

replace github.com/gocql/gocql => github.com/scylladb/gocql v1.17.3
