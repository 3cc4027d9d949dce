"""An outsider's check: a row written with ScyllaDB's Python driver is read from its topic with Confluent's client.

    outside.py CQL_HOST:PORT KAFKA_HOST:PORT

Knows nothing of Weir but the two addresses and the orders schema. Exits 0 when the record is what was written.
"""

import sys
import time
import uuid
from datetime import datetime, timezone

from cassandra.cluster import Cluster
from confluent_kafka import Consumer


def write(address):
    """Inserts one row and answers what its record must be."""
    host, port = address.rsplit(":", 1)
    cluster = Cluster([host], port=int(port))
    session = cluster.connect("orders_ks")
    insert = session.prepare(
        "INSERT INTO outbox_messages (aggregate_id, sequence_number, id, event_id, event_type, event_version, payload,"
        " correlation_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    order, event, request = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    payload = '{"note":"grüße from outside"}'
    now = datetime.now(timezone.utc)
    session.execute(insert, (order, 1, uuid.uuid4(), event, "OrderCreated", 1, payload, request, now))
    cluster.shutdown()
    headers = {
        "event_id": str(event),
        "event_type": "OrderCreated",
        "event_version": "1",
        "aggregate_id": str(order),
        "sequence_number": "1",
        "correlation_id": str(request),
    }
    return str(order), payload, headers


def read(address, key, seconds=60):
    """The first record of this key."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": f"outside-{uuid.uuid4()}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["order-events"])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message and not message.error() and message.key() == key.encode():
            consumer.close()
            return message
    sys.exit(f"no record of key {key} within {seconds} s")


def main():
    cql, kafka = sys.argv[1:]
    key, payload, headers = write(cql)
    message = read(kafka, key)
    found = {name: value.decode() for name, value in message.headers()}
    wrong = {name: found.get(name) for name in headers if found.get(name) != headers[name]}
    if wrong or message.value().decode() != payload:
        sys.exit(f"wanted {payload} with {headers}, got {message.value()} with {found}")
    print(f"{key} arrived as it was written, {len(found)} headers")


main()
