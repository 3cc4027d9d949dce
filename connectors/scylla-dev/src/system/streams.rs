//! The CDC streams, as readers look them up: `system_distributed.cdc_*` for vnodes, `system.cdc_*` for tablets.
use std::collections::BTreeSet;

use bytes::Bytes;

use super::row::{Values, Writer, bigint, elements, text, tinyint};
use crate::cdc::generation::{Generation, Generations};
use crate::cdc::streams::Streams;
use crate::schema::{LOG_SUFFIX, PartitionKey};

/// The values of `stream_state`.
const CURRENT: i8 = 0;
const CLOSED: i8 = 1;
const OPENED: i8 = 2;

pub(super) fn write(writer: &mut Writer<'_>, streams: &Streams) {
    vnodes(writer, streams.vnodes());
    let schema = writer.schema;
    writer.rows("system", "cdc_timestamps", []);
    writer.rows("system", "cdc_streams", []);
    for log in schema.tables() {
        if let (Some(base), Some(generations)) = (log.name.strip_suffix(LOG_SUFFIX), streams.tablets(log.id))
        {
            tablets(writer, [text(&log.keyspace), text(base)], generations);
        }
    }
}

fn vnodes(writer: &mut Writer<'_>, generations: &Generations) {
    let times = generations
        .iter()
        .map(|generation| vec![("key", text("timestamps")), ("time", bigint(generation.since_millis))]);
    writer.rows("system_distributed", "cdc_generation_timestamps", times);
    let streams = generations.iter().flat_map(|generation| {
        generation.ranges.iter().map(|range| {
            let ids: BTreeSet<Bytes> = range.streams.iter().map(|stream| stream.bytes.clone()).collect();
            vec![
                ("time", bigint(generation.since_millis)),
                ("range_end", bigint(range.end)),
                ("streams", elements(ids)),
            ]
        })
    });
    writer.rows("system_distributed", "cdc_streams_descriptions_v2", streams);
}

/// Each set of streams whole, and as what it closed and opened.
fn tablets(writer: &mut Writer<'_>, table: [Bytes; 2], generations: &Generations) {
    let row = |generation: &Generation| -> Values {
        let [keyspace, table] = table.clone();
        let time = bigint(generation.since_millis);
        vec![("keyspace_name", keyspace), ("table_name", table), ("timestamp", time)]
    };
    writer.rows("system", "cdc_timestamps", generations.iter().map(row));
    let mut before = None;
    for generation in generations.iter() {
        let with = |state: i8| {
            move |stream: &PartitionKey| -> Values {
                let mut row = row(generation);
                row.extend([("stream_state", tinyint(state)), ("stream_id", stream.bytes.clone())]);
                row
            }
        };
        let closed = before.into_iter().flat_map(Generation::streams).map(with(CLOSED));
        let opened = generation.streams().map(with(OPENED));
        let rows: Vec<Values> = generation.streams().map(with(CURRENT)).chain(closed).chain(opened).collect();
        writer.rows("system", "cdc_streams", rows);
        before = Some(generation);
    }
}
