//! `generator`: records out of nothing but their number, at a rate, for trials and measurements.
//!
//! Record `n` always has the same key, value and headers, so what is missing, doubled or out of order at the
//! destination can be told from the records alone. Keys go round; each key belongs to one partition; the header
//! `sequence_number` counts from 0 per key without a gap.

mod config;
mod pace;
mod sequence;
mod source;

use async_trait::async_trait;
use weir_sdk::config::Problem;
use weir_sdk::{Checkpoint, Context, Error, Source, SourceConnector, Start, To};

use crate::begin_only;
pub use config::GeneratorConfig;
use source::GeneratorSource;

/// The connector.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generator;

#[async_trait]
impl SourceConnector for Generator {
    const NAME: &'static str = "generator";
    type Config = GeneratorConfig;

    fn check(&self, config: &GeneratorConfig) -> Vec<Problem> {
        config.check()
    }

    async fn open(
        &self,
        config: GeneratorConfig,
        resume: Checkpoint,
        _context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let problems = config.check();
        if !problems.is_empty() {
            return Err(Error::config(problems));
        }
        Ok(Box::new(GeneratorSource::resume(&config, &resume)?))
    }

    async fn seek(&self, config: GeneratorConfig, to: To, _context: Context) -> Result<Start, Error> {
        match to {
            To::Earliest | To::Everything => {
                Ok(GeneratorSource::resume(&config, &Checkpoint::default())?.start())
            }
            To::Latest | To::At(_) => Err(begin_only(Self::NAME)),
        }
    }
}
