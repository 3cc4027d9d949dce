//! Numbers, truths and texts as a config type wants them, from JSON scalars or from text that holds one.

use serde_json::Value;

use super::fault::Fault;
use super::here::Here;

impl<'de> Here<'de, '_> {
    pub(super) fn text(&self) -> Option<&'de str> {
        let text = self.value.as_str()?;
        match &self.part {
            Some((part, taken)) => {
                taken.set(true);
                Some(&text[part.clone()])
            }
            None => Some(text),
        }
    }

    pub(super) fn whole_number(&self, least: i128, most: i128) -> Result<i128, Fault> {
        let number = match self.value {
            Value::Number(number) => (number.as_i64().map(i128::from)).or(number.as_u64().map(i128::from)),
            _ => self.text().and_then(|text| text.trim().parse().ok()),
        };
        match number {
            Some(number) if number < least => {
                Err(Fault::new(format!("expected a whole number, {least} or more")))
            }
            Some(number) if number > most => {
                Err(Fault::new(format!("expected a whole number, {most} or less")))
            }
            Some(number) => Ok(number),
            None => Err(Fault::expected("a whole number", self.value)),
        }
    }

    pub(super) fn decimal_number(&self) -> Result<f64, Fault> {
        let number = match self.value {
            Value::Number(number) => number.as_f64(),
            _ => self.text().and_then(|text| text.trim().parse().ok()),
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| Fault::expected("a number", self.value))
    }

    pub(super) fn truth(&self) -> Result<bool, Fault> {
        let text = match self.value {
            Value::Bool(truth) => return Ok(*truth),
            _ => self.text().map(str::trim),
        };
        match text {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Fault::expected("`true` or `false`", self.value)
                .help("yes, no, on and off are text in YAML 1.2")),
            None => Err(Fault::expected("`true` or `false`", self.value)),
        }
    }

    pub(super) fn words(&self) -> Result<&'de str, Fault> {
        self.text().ok_or_else(|| {
            let fault = Fault::expected("text", self.value);
            match self.value {
                Value::Number(_) | Value::Bool(_) => fault.help("put it in quotes"),
                _ => fault,
            }
        })
    }
}
