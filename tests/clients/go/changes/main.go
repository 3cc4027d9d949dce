// Command changes lets ScyllaDB's own reader of CDC logs for Go read what it writes, before and after the streams of the log
// are replaced: every change must come, in the order of writing for each key, and no other.
//
//	changes HOST:PORT CONTROL_URL vnodes|tablets
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"
	scyllacdc "github.com/scylladb/scylla-cdc-go"
)

const (
	keys     = 40
	patience = 60 * time.Second
)

func main() {
	log.SetFlags(0)
	control, mode := os.Args[2], os.Args[3]
	session := connect(os.Args[1])
	defer session.Close()
	keyspace := "go_cdc_" + mode
	tablets := "{'enabled': false}"
	if mode == "tablets" {
		tablets = "{'initial': 4}"
	}
	run(session, "CREATE KEYSPACE "+keyspace+" WITH replication = {'class': 'NetworkTopologyStrategy',"+
		" 'replication_factor': 1} AND tablets = "+tablets)
	run(session, "CREATE TABLE "+keyspace+".t (p int, c int, s text static, v text, n bigint, tags set<text>, l list<int>,"+
		" m map<text, int>, PRIMARY KEY (p, c)) WITH cdc = {'enabled': true, 'preimage': true, 'postimage': true}")
	delivered := &changes{keys: map[int][]string{}, streams: map[string]bool{}}
	reader, err := scyllacdc.NewReader(context.Background(), &scyllacdc.ReaderConfig{
		Session:               session,
		TableNames:            []string{keyspace + ".t"},
		Consistency:           gocql.Quorum,
		ChangeConsumerFactory: scyllacdc.MakeChangeConsumerFactoryFromFunc(delivered.take),
		Advanced: scyllacdc.AdvancedReaderConfig{
			ConfidenceWindowSize: 500 * time.Millisecond, QueryTimeWindowSize: 5 * time.Second,
			PostNonEmptyQueryDelay: 50 * time.Millisecond, PostEmptyQueryDelay: 50 * time.Millisecond,
			PostFailedQueryDelay: 200 * time.Millisecond, PostGenerationFetchDelay: 500 * time.Millisecond,
		},
	})
	must(err, "the reader")
	ended := make(chan error, 1)
	go func() { ended <- reader.Run(context.Background()) }()
	written := write(session, keyspace+".t", nil)
	replaceStreams(control, keyspace, mode)
	written = write(session, keyspace+".t", written)
	for deadline := time.Now().Add(patience); delivered.count() < count(written) && time.Now().Before(deadline); {
		select {
		case err := <-ended:
			log.Fatalf("the reader ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	reader.Stop()
	delivered.compare(written)
	fmt.Printf("scylla-cdc-go on %s: all as it should be\n", mode)
}

func connect(address string) *gocql.Session {
	host, port, err := net.SplitHostPort(address)
	must(err, "the address")
	cluster := gocql.NewCluster(host)
	cluster.Port, err = strconv.Atoi(port)
	must(err, "the port")
	cluster.Timeout, cluster.ConnectTimeout = 20*time.Second, 20*time.Second
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	session, err := cluster.CreateSession()
	must(err, "connect")
	return session
}

func must(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func run(session *gocql.Session, statement string, values ...any) {
	must(session.Query(statement, values...).Exec(), statement)
}

// replaceStreams tells the server to take new streams in a moment, and waits until it has.
func replaceStreams(control, keyspace, mode string) {
	command, fields := "/new-generation", `{"in_millis": 1000}`
	if mode == "tablets" {
		command, fields = "/resize-tablets", fmt.Sprintf(`{"keyspace": %q, "table": "t", "count": 8, "in_millis": 1000}`, keyspace)
	}
	answer, err := http.Post(control+command, "application/json", strings.NewReader(fields))
	must(err, command)
	if answer.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s", command, answer.Status)
	}
	must(answer.Body.Close(), command)
	time.Sleep(1100 * time.Millisecond)
}

// changes are what the reader delivered, as text, by key.
type changes struct {
	sync.Mutex
	keys    map[int][]string
	streams map[string]bool
}

func (c *changes) take(_ context.Context, _ string, change scyllacdc.Change) error {
	c.Lock()
	defer c.Unlock()
	c.streams[change.StreamID.String()] = true
	for _, rows := range [][]*scyllacdc.ChangeRow{change.PreImage, change.Delta, change.PostImage} {
		for _, row := range rows {
			key, _ := row.GetValue("p")
			c.keys[*key.(*int)] = append(c.keys[*key.(*int)], describe(row))
		}
	}
	return nil
}

func (c *changes) count() int {
	c.Lock()
	defer c.Unlock()
	return count(c.keys)
}

func (c *changes) compare(written map[int][]string) {
	c.Lock()
	defer c.Unlock()
	for key, wanted := range written {
		if found := c.keys[key]; !reflect.DeepEqual(found, wanted) {
			log.Fatalf("of key %d there came\n  %s\nand not\n  %s", key, strings.Join(found, "\n  "), strings.Join(wanted, "\n  "))
		}
	}
	if len(c.streams) <= 4 || count(c.keys) != count(written) {
		log.Fatalf("%d changes of %d came from %d streams", count(c.keys), count(written), len(c.streams))
	}
}

func count(changes map[int][]string) (sum int) {
	for _, of := range changes {
		sum += len(of)
	}
	return sum
}

// describe tells a row of the log in a line: what was done, then each column, `-name` for one that was deleted.
func describe(row *scyllacdc.ChangeRow) string {
	words := []string{row.GetOperation().String()}
	if row.GetTTL() != 0 {
		words = append(words, fmt.Sprintf("ttl=%d", row.GetTTL()))
	}
	image := row.GetOperation() == scyllacdc.PreImage
	for _, name := range []string{"c", "s", "v", "n", "tags", "l", "m"} {
		value, _ := row.GetValue(name)
		if v := reflect.ValueOf(value); value != nil && !v.IsZero() {
			words = append(words, name+"="+show(name, reflect.Indirect(v)))
		}
		if deleted, _ := row.IsDeleted(name); deleted && !image {
			words = append(words, "-"+name)
		}
		gone, _ := row.GetDeletedElements(name)
		if v := reflect.ValueOf(gone); gone != nil && v.Len() > 0 {
			words = append(words, fmt.Sprintf("-%s%v", name, gone))
		}
	}
	return strings.Join(words, " ")
}

func show(name string, value reflect.Value) string {
	if name != "l" {
		return fmt.Sprint(value)
	}
	// The log holds a list as a map from the ids of its elements.
	var elements []int
	for _, id := range value.MapKeys() {
		elements = append(elements, int(value.MapIndex(id).Int()))
	}
	sort.Ints(elements)
	return fmt.Sprint(elements)
}

// write does every kind of change to every key, and gives what must be read after what was to be read before.
func write(session *gocql.Session, table string, before map[int][]string) map[int][]string {
	wanted := map[int][]string{}
	for p := range keys {
		do := func(statement string, values ...any) {
			run(session, strings.ReplaceAll(statement, "TABLE", table), values...)
		}
		do("INSERT INTO TABLE (p, c, v, n, tags, l, m) VALUES (?, 1, 'a', 1, {'a', 'b'}, [3, 4], {'x': 1})", p)
		do("UPDATE TABLE USING TTL 7200 SET v = 'b' WHERE p = ? AND c = 1", p)
		do("UPDATE TABLE SET tags = tags - {'b'}, m['y'] = 2, l = l + [9] WHERE p = ? AND c = 1", p)
		do("UPDATE TABLE SET s = ? WHERE p = ?", "s", p)
		do("UPDATE TABLE SET n = 2 WHERE p = ? AND c = 1 IF n = 1", p)
		do("UPDATE TABLE SET n = 3 WHERE p = ? AND c = 1 IF n = 1", p)
		do("DELETE v, tags FROM TABLE WHERE p = ? AND c = 1", p)
		batch := session.NewBatch(gocql.LoggedBatch)
		batch.Query("INSERT INTO "+table+" (p, c, n) VALUES (?, 2, 2)", p)
		batch.Query("INSERT INTO "+table+" (p, c, n) VALUES (?, 3, 3)", p)
		must(session.ExecuteBatch(batch), "batch")
		do("DELETE FROM TABLE WHERE p = ? AND c > 1 AND c <= 2", p)
		do("DELETE FROM TABLE WHERE p = ? AND c = 3", p)
		do("DELETE FROM TABLE WHERE p = ?", p)
		all := "v=a n=1 tags=[a b] l=[3 4] m=map[x:1]"
		wanted[p] = append(before[p][:len(before[p]):len(before[p])],
			"INSERT c=1 v=a n=1 tags=[a b] -tags l=[3 4] -l m=map[x:1] -m", "POSTIMAGE c=1 "+all,
			"PREIMAGE c=1 v=a", "UPDATE ttl=7200 c=1 v=b", "POSTIMAGE c=1 v=b n=1 tags=[a b] l=[3 4] m=map[x:1]",
			"PREIMAGE c=1 tags=[a b] l=[3 4] m=map[x:1]", "UPDATE c=1 -tags[b] l=[9] m=map[y:2]",
			"POSTIMAGE c=1 v=b n=1 tags=[a] l=[3 4 9] m=map[x:1 y:2]",
			"UPDATE s=s", "POSTIMAGE s=s",
			"PREIMAGE c=1 n=1", "UPDATE c=1 n=2", "POSTIMAGE c=1 v=b n=2 tags=[a] l=[3 4 9] m=map[x:1 y:2]",
			// The tombstone of a collection is logged a microsecond after those of plain columns.
			"PREIMAGE c=1 v=b", "UPDATE c=1 -v", "POSTIMAGE c=1 n=2 tags=[a] l=[3 4 9] m=map[x:1 y:2]",
			"PREIMAGE c=1 tags=[a]", "UPDATE c=1 -tags", "POSTIMAGE c=1 n=2 l=[3 4 9] m=map[x:1 y:2]",
			"INSERT c=2 n=2", "INSERT c=3 n=3", "POSTIMAGE c=2 n=2", "POSTIMAGE c=3 n=3",
			"RANGE_DELETE_START_EXCLUSIVE c=1", "RANGE_DELETE_END_INCLUSIVE c=2",
			"PREIMAGE c=3 n=3", "ROW_DELETE c=3",
			"PARTITION_DELETE",
		)
	}
	return wanted
}
