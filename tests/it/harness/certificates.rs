//! `Authority`: a certificate authority of a test's own, and what it signs for a server on 127.0.0.1.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

/// Signs certificates.
pub(crate) struct Authority {
    name: String,
    key: PKey<Private>,
    certificate: X509,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = key();
        let mut builder = begun(name, name, &key);
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { name: name.to_owned(), key, certificate: builder.build() }
    }

    /// What its clients are told to trust, as PEM.
    pub(crate) fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// A key and a certificate for 127.0.0.1, as PEM, as a Kafka wants its keystore.
    pub(crate) fn keystore(&self) -> Vec<u8> {
        let key = key();
        let mut builder = begun("a broker", &self.name, &key);
        let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None));
        builder.append_extension(names.unwrap()).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        [key.private_key_to_pem_pkcs8().unwrap(), builder.build().to_pem().unwrap()].concat()
    }
}

fn key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn begun(subject: &str, issuer: &str, key: &PKey<Private>) -> X509Builder {
    let name = |text: &str| {
        let mut builder = X509NameBuilder::new().unwrap();
        builder.append_entry_by_text("CN", text).unwrap();
        builder.build()
    };
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(rand::random()).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&name(subject)).unwrap();
    builder.set_issuer_name(&name(issuer)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder
}
