//! Subjects as they are encoded, and as Java 17 wrote them (`getSubjectX500Principal().getName()`).
use super::*;

#[test]
fn subjects_are_written_as_java_writes_them() {
    for (encoded, expected) in [
        (
            "3066310b30090603550406130244453110300e06035504080c0742617661726961310f300d06035504070c064d756e69636831163014060355040a0c0d4578616d706c652c20496e632e310c300a060355040b0c03446576310e300c06035504030c05616c696365",
            r#"CN=alice,OU=Dev,O=Example\, Inc.,L=Munich,ST=Bavaria,C=DE"#,
        ),
        (
            "302e310e300c06035504030c05616c696365311c301a06092a864886f70d010901160d61406578616d706c652e636f6d",
            r#"1.2.840.113549.1.9.1=#160d61406578616d706c652e636f6d,CN=alice"#,
        ),
        (
            "303b3122302006035504030c194a7843337842437267656e202274686522203c6f6e653e3b2331153013060355040a0c0c206c65616420747261696c20",
            r#"O=\ lead trail\ ,CN=JxC3xBCrgen \"the\" \<one\>\;\#"#,
        ),
        (
            "302e3110300e06035504030c074ac3bc7267656e310e300c060355040a0c052368617368310a3008060355040b0c0161",
            r#"OU=a,O=\#hash,CN=Jürgen"#,
        ),
        (
            "306831243008060355040a0c0178300a060355040b0c03446576300c06035504030c05616c69636531173015060a0992268993f22c64011916076578616d706c6531133011060a0992268993f22c6401191603636f6d31123010060a0992268993f22c6401010c027531",
            r#"UID=u1,DC=com,DC=example,O=x+OU=Dev+CN=alice"#,
        ),
        (
            "3056310c300a06035504051303313233310e300c060355042a0c05476976656e310c300a06035504040c03537572310a3008060355040c0c01543110300e06035504090c074d61696e205374310a300806035504030c0178",
            r#"CN=x,STREET=Main St,2.5.4.12=#0c0154,2.5.4.4=#0c03537572,2.5.4.42=#0c05476976656e,2.5.4.5=#1303313233"#,
        ),
        ("300c310a300806035504030c0120", r"CN=\ "),
        ("301c310d300b06035504030c0461202062310b3009060355040a0c022078", r#"O=\ x,CN=a  b"#),
        ("3020310e300c060355040314054772f6df65310e300c060355040a1305706c61696e", r#"O=plain,CN=Gr��e"#),
        ("30223110300e060355040314074772c3b6c39f65310e300c060355040a1305706c61696e", r#"O=plain,CN=Größe"#),
    ] {
        let bytes: Vec<u8> = (0..encoded.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&encoded[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(written(&Name::from_der(&bytes).unwrap()).as_deref(), Some(expected));
    }
}

#[test]
fn what_is_no_certificate_has_no_subject() {
    assert_eq!(subject(b""), None);
    assert_eq!(subject(b"certificate"), None);
}
