//! `Tagged`: `name: content`, where one of several shapes is wanted.

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, VariantAccess, Visitor};

use super::fault::Fault;
use super::here::Here;

/// The name of a shape and what stands below it.
pub(super) struct Tagged<'de, 'a> {
    pub(super) name: &'de str,
    pub(super) content: Here<'de, 'a>,
}

impl<'de, 'a> EnumAccess<'de> for Tagged<'de, 'a> {
    type Error = Fault;
    type Variant = Here<'de, 'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), Fault> {
        let name = seed.deserialize(StrDeserializer::<Fault>::new(self.name));
        match name {
            Ok(name) => Ok((name, self.content)),
            Err(fault) => Err(fault.on_key().at(|| self.content.place())),
        }
    }
}

impl<'de> VariantAccess<'de> for Here<'de, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        let fault = Fault::new("this name stands alone").help("remove what is below it");
        Err(fault.at(|| self.place()))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        let place = self.place();
        seed.deserialize(self).map_err(|fault| fault.at(|| place))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_struct("", fields, visitor)
    }
}
