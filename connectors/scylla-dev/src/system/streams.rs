//! `system_distributed.cdc_*`: the stream generations, as CDC readers look them up.
use super::row::{Writer, bigint, elements, text};
use crate::cdc::generation::Generations;

pub(super) fn write(writer: &mut Writer<'_>, generations: &Generations) {
    let times = generations
        .iter()
        .map(|generation| vec![("key", text("timestamps")), ("time", bigint(generation.since_millis))]);
    writer.rows("system_distributed", "cdc_generation_timestamps", times);
    let streams = generations.iter().flat_map(|generation| {
        generation.streams.iter().map(|(range_end, stream)| {
            vec![
                ("time", bigint(generation.since_millis)),
                ("range_end", bigint(*range_end)),
                ("streams", elements([stream.bytes.clone()])),
            ]
        })
    });
    writer.rows("system_distributed", "cdc_streams_descriptions_v2", streams);
}
