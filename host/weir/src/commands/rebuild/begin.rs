//! `Begin`: what is to be filled is decided, checked and emptied, and the checkpoint begins with everything.
//!
//! Each step is kept before the next, so that a kill in between is gone on from: a place that a rebuild has begun to
//! fill is its own, and one is emptied before anything is read for it.

use std::sync::Arc;

use weir_host::config::PipelineConfig;
use weir_host::rebuild::Rebuild;
use weir_host::rebuild::state::{Phase, State, Way, made_of};
use weir_host::registry::Registry;
use weir_host::run::spec;
use weir_host::task::Spec;
use weir_sdk::{CheckpointStore, Error, ErrorKind, Place, To};

use super::How;
use super::begun::Begun;
use super::caught_up::CaughtUp;
use super::sink::Sink;
use crate::commands::confirmed;
use crate::commands::lazy::Lazy;
use crate::output;

/// What a rebuild begins with.
pub(super) struct Begin<'a> {
    pub(super) sink: Sink<'a>,
    pub(super) rebuild: Rebuild,
    pub(super) how: &'a How,
}

impl<'a> Begin<'a> {
    /// Begins, or goes on; `None` when nobody wants the table emptied.
    ///
    /// # Errors
    /// What the far sides answer; `Config` when it cannot be begun, or not gone on with, as asked.
    pub(super) async fn begin(self, registry: &Registry) -> Result<Option<Begun<'a>>, Error> {
        let configured = self.sink.to.place(&self.sink.sink_config())?;
        self.source_will_do().await?;
        let mut state = match self.rebuild.state()? {
            Some(former) if !self.how.anew => self.goes_on(former)?,
            former => self.anew(former, configured).await?,
        };
        self.mapping_fits(&state.place).await?;
        if state.phase == Phase::Emptying {
            if state.way == Way::InPlace && !self.agreed(&state.place).await {
                return Ok(None);
            }
            self.rebuild.keep(&state)?;
            self.rebuild.forget_checkpoint()?;
            let config = state.place.put_in(self.sink.sink_config());
            self.sink.to.empty(config, self.sink.context()).await?;
            state.phase = Phase::Filling;
            self.rebuild.keep(&state)?;
        }
        let checkpoints: Arc<dyn CheckpointStore> = Arc::new(self.rebuild.checkpoints().await?);
        self.begin_with_everything(&*checkpoints, &state.place).await?;
        let spec = self.spec(&state.place, registry, checkpoints)?;
        Ok(Some(Begun { sink: self.sink, rebuild: self.rebuild, state, spec }))
    }

    /// What was begun is what is asked for.
    fn goes_on(&self, former: State) -> Result<State, Error> {
        let State { place, way, .. } = &former;
        let refused = |message: String| {
            let advice = match way {
                Way::Beside => format!(
                    "leave that out to go on with `{0}`, or give --anew to empty `{0}` and begin again",
                    place.name
                ),
                Way::InPlace => "leave that out to go on, or give --anew to empty it once more".to_owned(),
            };
            Error::new(ErrorKind::Config, message).advice(advice)
        };
        if self.how.truncate && *way == Way::Beside {
            return Err(refused(format!("a rebuild into `{}` was begun, not one in place", place.name)));
        }
        if let Some(into) = self.how.into.as_ref().filter(|into| **into != place.name) {
            return Err(refused(format!("a rebuild of `{}` was begun, not one into `{into}`", place.name)));
        }
        let now = made_of(self.sink.pipeline, self.sink.sink, place);
        let changed = now.iter().filter(|(part, sum)| former.made_of.get(*part) != Some(sum));
        let changed: Vec<_> = changed.map(|(part, _)| part.as_str()).collect();
        if changed.is_empty() {
            return Ok(former);
        }
        let changed = changed.join(" and ");
        let message = format!("the {changed} of {} changed since its rebuild began", self.sink.task);
        Err(Error::new(ErrorKind::Config, message).advice(format!(
            "bring back what it was, or give --anew to empty `{}` and begin again",
            place.name
        )))
    }

    /// What is filled. It is emptied first, whatever it is, and with it goes the checkpoint of a former rebuild.
    async fn anew(&self, former: Option<State>, configured: Place) -> Result<State, Error> {
        let (way, place) = if self.how.truncate {
            (Way::InPlace, configured)
        } else {
            (Way::Beside, self.beside(former, configured).await?)
        };
        let made_of = made_of(self.sink.pipeline, self.sink.sink, &place);
        Ok(State { place, way, phase: Phase::Emptying, made_of })
    }

    /// The place beside that a former rebuild has filled, or else one that nobody has.
    async fn beside(&self, former: Option<State>, configured: Place) -> Result<Place, Error> {
        let own = former.filter(|former| former.way == Way::Beside).map(|former| former.place);
        if own.as_ref() == Some(&configured) {
            let message = format!("`{}` is what the former rebuild has filled, and in use", configured.name);
            return Err(Error::new(ErrorKind::Config, message).advice(
                "let `weir run` go on with it before another rebuild; or give --truncate too, to fill it anew in place",
            ));
        }
        let is_meant = |own: &Place| self.how.into.as_ref().is_none_or(|into| *into == own.name);
        if let Some(own) = own.filter(is_meant) {
            return Ok(own);
        }
        let (config, into) = (self.sink.sink_config(), self.how.into.clone());
        let name = self.sink.to.beside(config, into, self.sink.context()).await?;
        Ok(Place { name, ..configured })
    }

    /// Before anything is made: the source can be asked for everything, and for now.
    async fn source_will_do(&self) -> Result<(), Error> {
        let Sink { from, .. } = &self.sink;
        from.seek(self.sink.source_config(), To::Everything, self.sink.context()).await?;
        CaughtUp::of(&self.sink).now().await.map(drop)
    }

    /// Before anything is emptied.
    async fn mapping_fits(&self, place: &Place) -> Result<(), Error> {
        let config = place.put_in(self.sink.sink_config());
        self.sink.to.open(config, self.sink.context()).await?.close().await
    }

    async fn agreed(&self, place: &Place) -> bool {
        if self.how.yes {
            return true;
        }
        output::line(format!(
            "{}: all that is in `{}` goes, and what the source still has comes back; who reads it meanwhile sees it fill up",
            self.sink.task, place.name
        ));
        confirmed().await
    }

    /// The checkpoint of one who begins with everything, unless there is one.
    async fn begin_with_everything(
        &self,
        checkpoints: &dyn CheckpointStore,
        place: &Place,
    ) -> Result<(), Error> {
        let Sink { task, from, .. } = &self.sink;
        if let Some(saved) = checkpoints.load(task).await? {
            let at = from.position(&saved.checkpoint)?.words;
            output::note(format!("{task}: goes on filling `{}`: {at}", place.name));
            return Ok(());
        }
        let begin = from.seek(self.sink.source_config(), To::Everything, self.sink.context()).await?;
        let identity = format!("{}:{}", from.name(), begin.identity);
        checkpoints.save(task, &identity, &begin.checkpoint).await?;
        output::note(format!("{task}: fills `{}` with everything", place.name));
        Ok(())
    }

    /// The task, with what it fills and where its checkpoint is.
    fn spec(
        &self,
        place: &Place,
        registry: &Registry,
        checkpoints: Arc<dyn CheckpointStore>,
    ) -> Result<Spec, Error> {
        let pipeline: &PipelineConfig = self.sink.pipeline;
        let mut spec = spec(pipeline, self.sink.sink, registry, checkpoints)
            .map_err(|problem| Error::config(vec![problem]))?;
        spec.source = self.sink.from.clone();
        spec.sink_config = place.put_in(spec.sink_config);
        if let Some(dead_letter) = &mut spec.dead_letter {
            dead_letter.sink = Arc::new(Lazy(dead_letter.sink.clone()));
        }
        Ok(spec)
    }
}
