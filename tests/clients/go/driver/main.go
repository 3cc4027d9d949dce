// Command driver uses a development ScyllaDB through gocql, whichever gocql it was built with.
//
//	driver [-tablets] [-user NAME -password WORD] HOST:PORT
//
// It exits 0 when everything it read is what it wrote.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"math/big"
	"net"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"gopkg.in/inf.v0"
)

var (
	tablets  = flag.Bool("tablets", false, "make the keyspace one of tablets")
	user     = flag.String("user", "", "log in as")
	password = flag.String("password", "", "with this password")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	session, err := connect(*password)
	must(err, "connect")
	defer session.Close()
	run(session, "CREATE KEYSPACE go WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"+
		" AND tablets = {'enabled': "+strconv.FormatBool(*tablets)+"}")
	theNodeIsKnown(session)
	everyTypeComesBack(session)
	nestedTypesComeBack(session)
	pagesAddUp(session)
	batchesAndConditions(session)
	theSchemaIsTold(session)
	errorsHaveTheirTypes(session)
	theLogTellsOfWrites(session)
	if *user != "" {
		_, err := connect("wrong")
		same(err != nil && strings.Contains(err.Error(), "incorrect"), true, fmt.Sprintf("a wrong password: %v", err))
	}
	fmt.Println("gocql: all as it should be")
}

func connect(password string) (*gocql.Session, error) {
	host, port, err := net.SplitHostPort(flag.Arg(0))
	must(err, "the address")
	number, err := strconv.Atoi(port)
	must(err, "the port")
	cluster := gocql.NewCluster(host)
	cluster.Port = number
	cluster.ProtoVersion = 4
	cluster.Consistency = gocql.Quorum
	cluster.Timeout, cluster.ConnectTimeout = 20*time.Second, 20*time.Second
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	if *user != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: *user, Password: password}
	}
	return cluster.CreateSession()
}

func must(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func same(found, wanted any, what string) {
	if !reflect.DeepEqual(found, wanted) {
		log.Fatalf("%s: found %#v, wanted %#v", what, found, wanted)
	}
}

func run(session *gocql.Session, statement string, values ...any) {
	must(session.Query(statement, values...).Exec(), statement)
}

func theNodeIsKnown(session *gocql.Session) {
	var release, partitioner, datacenter string
	var tokens []string
	must(session.Query("SELECT release_version, partitioner, data_center, tokens FROM system.local WHERE key = 'local'").
		Scan(&release, &partitioner, &datacenter, &tokens), "system.local")
	same(release, "3.0.8", "the release")
	same(partitioner, "org.apache.cassandra.dht.Murmur3Partitioner", "the partitioner")
	same(len(tokens) > 0, true, "tokens")
	var peers int
	must(session.Query("SELECT count(*) FROM system.peers").Scan(&peers), "system.peers")
	same(peers, 0, "peers")
	must(session.AwaitSchemaAgreement(context.Background()), "schema agreement")
}

func uuid(text string) gocql.UUID {
	id, err := gocql.ParseUUID(text)
	must(err, text)
	return id
}

func everyTypeComesBack(session *gocql.Session) {
	huge, _ := new(big.Int).SetString("-1267650600228229401496703205376", 10)
	when := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	values := []struct {
		name  string
		value any
	}{
		{"ascii", "plain"}, {"bigint", int64(math.MinInt64)}, {"blob", []byte{0, 255}}, {"boolean", true},
		{"date", time.Date(1969, 7, 20, 0, 0, 0, 0, time.UTC)}, {"decimal", inf.NewDec(-123456789012345, 6)},
		{"double", math.MaxFloat64}, {"duration", gocql.Duration{Months: 14, Days: 3, Nanoseconds: 1_000_000_001}},
		{"float", float32(-3.25)}, {"inet", net.ParseIP("2001:db8::1")}, {"int", math.MinInt32},
		{"smallint", int16(-32768)}, {"text", "grüße, 世界"}, {"time", 86_399_999_999_999 * time.Nanosecond},
		{"timestamp", when}, {"timeuuid", uuid("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")}, {"tinyint", int8(-128)},
		{"uuid", uuid("00000000-0000-4000-8000-000000000001")}, {"varint", huge},
	}
	for _, v := range values {
		table := "go.type_" + v.name
		run(session, fmt.Sprintf("CREATE TABLE %s (p int PRIMARY KEY, v %s, l list<%s>, m map<int, frozen<list<%s>>>)",
			table, v.name, v.name, v.name))
		list := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(v.value)), 0, 2)
		list = reflect.Append(list, reflect.ValueOf(v.value), reflect.ValueOf(v.value))
		maps := reflect.MakeMap(reflect.MapOf(reflect.TypeOf(0), list.Type()))
		maps.SetMapIndex(reflect.ValueOf(7), list)
		run(session, "INSERT INTO "+table+" (p, v, l, m) VALUES (?, ?, ?, ?)", 1, v.value, list.Interface(), maps.Interface())
		found, lists, found_map := reflect.New(reflect.TypeOf(v.value)), reflect.New(list.Type()), reflect.New(maps.Type())
		must(session.Query("SELECT v, l, m FROM "+table+" WHERE p = ?", 1).
			Scan(found.Interface(), lists.Interface(), found_map.Interface()), table)
		same(fmt.Sprint(found.Elem()), fmt.Sprint(v.value), v.name)
		same(fmt.Sprint(lists.Elem()), fmt.Sprint(list), "list of "+v.name)
		same(fmt.Sprint(found_map.Elem()), fmt.Sprint(maps), "map of lists of "+v.name)
		run(session, "INSERT INTO "+table+" (p, v, l) VALUES (?, ?, ?)", 2, nil, nil)
		row := map[string]any{}
		must(session.Query("SELECT p, l FROM "+table+" WHERE p = 2").MapScan(row), table)
		same(reflect.ValueOf(row["l"]).Len(), 0, "no list of "+v.name)
	}
}

type address struct {
	Street string `cql:"street"`
	Zip    *int   `cql:"zip"`
}

func nestedTypesComeBack(session *gocql.Session) {
	run(session, "CREATE TYPE go.address (street text, zip int)")
	run(session, "CREATE TABLE go.nested (p int PRIMARY KEY, a frozen<address>, u address, t tuple<int, text>,"+
		" s set<text>, m map<text, frozen<map<int, frozen<address>>>>)")
	zip := 12345
	home, street := address{"Am Wehr 1", &zip}, address{"Street", nil}
	nested := map[string]map[int]address{"x": {1: home, 2: street}}
	run(session, "INSERT INTO go.nested (p, a, u, t, s, m) VALUES (?, ?, ?, (?, ?), ?, ?)",
		1, home, street, 5, "five", []string{"b", "a"}, nested)
	var frozen, open address
	var number int
	var word string
	var set []string
	var maps map[string]map[int]address
	must(session.Query("SELECT a, u, t, s, m FROM go.nested WHERE p = 1").Scan(&frozen, &open, &number, &word, &set, &maps), "nested")
	same([]any{frozen, open, number, word}, []any{home, street, 5, "five"}, "user types and tuple")
	same(set, []string{"a", "b"}, "set, in order")
	same(maps, nested, "map of maps of user types")
}

func pagesAddUp(session *gocql.Session) {
	run(session, "CREATE TABLE go.pages (p int, c int, v text, s text static, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC)")
	var all sync.WaitGroup
	for worker := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for c := worker; c < 400; c += 8 {
				run(session, "INSERT INTO go.pages (p, c, v) VALUES (?, ?, ?)", c%3, c, "v"+strconv.Itoa(c))
			}
		}()
	}
	all.Wait()
	seen := map[int]bool{}
	iter := session.Query("SELECT p, c, v FROM go.pages").PageSize(7).Prefetch(0.5).Iter()
	var p, c int
	var v string
	for iter.Scan(&p, &c, &v) {
		same([]any{p, v, seen[c]}, []any{c % 3, "v" + strconv.Itoa(c), false}, "a row of a page")
		seen[c] = true
	}
	must(iter.Close(), "paging")
	same(len(seen), 400, "rows of all pages")
	first := session.Query("SELECT c FROM go.pages WHERE p = 1").PageSize(50).Iter()
	same(first.NumRows(), 50, "rows of one page")
	rest := session.Query("SELECT c FROM go.pages WHERE p = 1").PageSize(1000).PageState(first.PageState()).Iter()
	same(rest.NumRows(), 83, "rows after a saved paging state")
	rest.Scan(&c)
	same(c, 397-50*3, "the first of them")
	must(rest.Close(), "the rest")
	scanner := session.Query("SELECT max(c), count(*) FROM go.pages WHERE p IN ?", []int{0, 1}).Iter().Scanner()
	same(scanner.Next(), true, "an aggregate's row")
	must(scanner.Scan(&c, &p), "aggregates")
	same([]int{c, p}, []int{399, 267}, "aggregates")
	run(session, "UPDATE go.pages SET v = ?, s = ? WHERE p = ? AND c = ?", gocql.UnsetValue, "static", 1, 4)
	var static string
	must(session.Query("SELECT v, s FROM go.pages WHERE p = 1 AND c = 4").Scan(&v, &static), "unset")
	same([]string{v, static}, []string{"v4", "static"}, "a value left unset")
}

func batchesAndConditions(session *gocql.Session) {
	run(session, "CREATE TABLE go.lwt (p int, c int, v int, PRIMARY KEY (p, c))")
	for _, kind := range []gocql.BatchType{gocql.LoggedBatch, gocql.UnloggedBatch} {
		batch := session.NewBatch(kind)
		batch.Query("INSERT INTO go.lwt (p, c, v) VALUES (?, ?, ?)", 1, int(kind), 10)
		batch.Query("UPDATE go.lwt SET v = 20 WHERE p = 1 AND c = 7")
		must(session.ExecuteBatch(batch), "batch")
	}
	old := map[string]any{}
	applied, err := session.Query("INSERT INTO go.lwt (p, c, v) VALUES (?, ?, ?) IF NOT EXISTS", 1, 0, 99).MapScanCAS(old)
	must(err, "a conditional insert")
	same([]any{applied, old}, []any{false, map[string]any{"p": 1, "c": 0, "v": 10}}, "an insert that was too late")
	var v int
	applied, err = session.Query("UPDATE go.lwt SET v = ? WHERE p = ? AND c = ? IF v = ?", 11, 1, 0, 10).ScanCAS(&v)
	must(err, "a conditional update")
	same([]any{applied, v}, []any{true, 10}, "a condition that held")
	batch := session.NewBatch(gocql.LoggedBatch)
	batch.Query("UPDATE go.lwt SET v = ? WHERE p = ? AND c = ? IF v = ?", 50, 1, 0, 12)
	batch.Query("DELETE FROM go.lwt WHERE p = ? AND c = ? IF EXISTS", 1, 1)
	applied, iter, err := session.MapExecuteBatchCAS(batch, map[string]any{})
	must(err, "a conditional batch")
	same(applied, false, "a conditional batch")
	must(iter.Close(), "a conditional batch")
	var rows [][]int
	scan := session.Query("SELECT c, v FROM go.lwt WHERE p = 1").Iter()
	for c := 0; scan.Scan(&c, &v); {
		rows = append(rows, []int{c, v})
	}
	must(scan.Close(), "rows")
	same(rows, [][]int{{0, 11}, {1, 10}, {7, 20}}, "rows after batches and conditions")
}

func theSchemaIsTold(session *gocql.Session) {
	run(session, "CREATE TABLE go.told (a int, b text, c timeuuid, d map<text, int>, s int static, PRIMARY KEY ((a, b), c))"+
		" WITH CLUSTERING ORDER BY (c DESC) AND comment = 'words'")
	table := toldTable(session, func(table *gocql.TableMetadata) bool { return table != nil })
	names := func(columns []*gocql.ColumnMetadata) (names []string) {
		for _, column := range columns {
			names = append(names, column.Name)
		}
		return names
	}
	same(names(table.PartitionKey), []string{"a", "b"}, "the partition key")
	same(names(table.ClusteringColumns), []string{"c"}, "the clustering key")
	same(table.ClusteringColumns[0].ClusteringOrder, "desc", "the order")
	run(session, "ALTER TABLE go.told ADD e int")
	table = toldTable(session, func(table *gocql.TableMetadata) bool { return table != nil && len(table.Columns) == 6 })
	columns := append([]string(nil), table.OrderedColumns...)
	sort.Strings(columns)
	same(columns, []string{"a", "b", "c", "d", "e", "s"}, "columns after ALTER TABLE")
	run(session, "DROP TABLE go.told")
	toldTable(session, func(table *gocql.TableMetadata) bool { return table == nil })
}

// toldTable waits until the driver has heard of a change, and gives the table as it knows it then.
func toldTable(session *gocql.Session, done func(*gocql.TableMetadata) bool) *gocql.TableMetadata {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		table := knownTable(session, "told")
		if done(table) {
			return table
		}
		if time.Now().After(deadline) {
			log.Fatalf("the driver did not hear of a change of the schema: %+v", table)
		}
	}
}

// knownTable gives a table of the keyspace as the driver knows it at the moment, nil when it knows of none.
func knownTable(session *gocql.Session, name string) *gocql.TableMetadata {
	// What the fork knows of a keyspace leaves out tables that changed, until it is asked for the table itself.
	if fork, is := any(session).(interface {
		TableMetadata(keyspace, table string) (*gocql.TableMetadata, error)
	}); is {
		table, err := fork.TableMetadata("go", name)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		must(err, "metadata")
		return table
	}
	keyspace, err := session.KeyspaceMetadata("go")
	// Apache's hears of a new keyspace by an event, a while after it was made.
	if errors.Is(err, gocql.ErrKeyspaceDoesNotExist) {
		return nil
	}
	must(err, "metadata")
	return keyspace.Tables[name]
}

func errorsHaveTheirTypes(session *gocql.Session) {
	for statement, code := range map[string]int{
		"SELEC 1": gocql.ErrCodeSyntax, "SELECT * FROM go.nowhere": gocql.ErrCodeInvalid,
		"DROP TABLE go.nowhere":                            gocql.ErrCodeInvalid,
		"CREATE TABLE go.pages (p int PRIMARY KEY)":        gocql.ErrCodeAlreadyExists,
		"CREATE KEYSPACE nope WITH replication = {'x': 1}": gocql.ErrCodeConfig,
		"DROP TABLE system.local":                          gocql.ErrCodeUnauthorized,
	} {
		err := session.Query(statement).Exec()
		same(codeOf(err), code, fmt.Sprintf("the code of %v", err))
	}
	var exists *gocql.RequestErrAlreadyExists
	same(errors.As(session.Query("CREATE TABLE go.pages (p int PRIMARY KEY)").Exec(), &exists), true, "what exists already")
	same([]string{exists.Keyspace, exists.Table}, []string{"go", "pages"}, "what exists already")
	same(errors.Is(session.Query("SELECT v FROM go.pages WHERE p = 99").Scan(new(string)), gocql.ErrNotFound), true, "no row")
}

// codeOf gives the protocol's code of an error, which the fork tells by another method.
func codeOf(err error) int {
	var upstream gocql.RequestError
	var fork interface{ GetCode() int }
	switch {
	case errors.As(err, &upstream):
		return upstream.Code()
	case errors.As(err, &fork):
		return fork.GetCode()
	}
	return -1
}

func theLogTellsOfWrites(session *gocql.Session) {
	run(session, "CREATE TABLE go.changes (p int, c int, v text, PRIMARY KEY (p, c)) WITH cdc = {'enabled': true}")
	run(session, "INSERT INTO go.changes (p, c, v) VALUES (1, 1, 'a') USING TTL 1000")
	run(session, "DELETE FROM go.changes WHERE p = 1 AND c > 0 AND c <= 5")
	var rows []string
	scanner := session.Query(`SELECT "cdc$operation", "cdc$batch_seq_no", "cdc$ttl", c, v FROM go.changes_scylla_cdc_log`).Iter().Scanner()
	for scanner.Next() {
		var operation int8
		var sequence, c int
		var ttl *int64
		var v *string
		must(scanner.Scan(&operation, &sequence, &ttl, &c, &v), "the log")
		line := fmt.Sprint(operation, sequence, c)
		if ttl != nil && v != nil {
			line += fmt.Sprint(" ", *ttl, *v)
		}
		rows = append(rows, line)
	}
	must(scanner.Err(), "the log")
	same(rows, []string{"2 0 1 1000a", "6 0 0", "7 1 5"}, "the log")
}
