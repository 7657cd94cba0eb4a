//! AlterUserScramCredentials.

use ottla_protocol::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::records::metadata::FeatureLevelRecord;

use super::house::House;
use crate::controller::{ControllerRequest, ControllerResponse};

fn set(name: &str, mechanism: i8) -> ScramCredentialUpsertion {
    ScramCredentialUpsertion {
        name: name.into(),
        mechanism,
        iterations: 4_096,
        salt: b"salt"[..].into(),
        salted_password: b"salted password"[..].into(),
    }
}

fn remove(name: &str, mechanism: i8) -> ScramCredentialDeletion {
    ScramCredentialDeletion { name: name.into(), mechanism }
}

fn alter(
    house: &mut House,
    deletions: Vec<ScramCredentialDeletion>,
    upsertions: Vec<ScramCredentialUpsertion>,
) -> Vec<(String, i16, String)> {
    let request = AlterUserScramCredentialsRequest { deletions, upsertions };
    match house.ask(ControllerRequest::AlterUserScramCredentials(request)) {
        ControllerResponse::AlterUserScramCredentials(response) => response
            .results
            .into_iter()
            .map(|one| {
                (one.user.into(), one.error_code, one.error_message.map(String::from).unwrap_or_default())
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys are those that Python's `hmac` and `hashlib` make.
#[test]
fn credentials_come_and_go() {
    let mut house = House::new();
    let done = |user: &str| (user.to_owned(), 0, String::new());
    assert_eq!(alter(&mut house, vec![], vec![set("a", 1), set("b", 2)]), [done("a"), done("b")]);
    let keys = |mechanism, user: &str| {
        let credential = house.image().scram.get(&(mechanism, user.into())).expect("it is there");
        (hex(&credential.stored_key), hex(&credential.server_key))
    };
    let (stored, server) = keys(1, "a");
    assert_eq!(stored, "59b30843506b70039a83d3593802b4046be6b7282275bef78e3b6cb2dd100b66");
    assert_eq!(server, "3dcb6924f9a929cf4aef2f120fe7f2a5ed33c8c17c0bc9fc34ab8bd4e4f1d14d");
    let (stored, server) = keys(2, "b");
    assert_eq!(
        stored,
        "4dae3c2e13c5df6f48206cabafffbc140beb5728cfb3848d2894ec6a08ec5a899eb04d9604ceabf5874a7fa0a539bbe6f89b762d32b358b46de1afc927155a11"
    );
    assert_eq!(
        server,
        "d0edec9a3230460058f108a03ce5ea489f2d539d1ca6183c5c15e6a93569cd3fadb9e86e65bd3605045133c3cef2c0c6b53922d766ad0e4ec8812ee1e5ae7526"
    );
    assert_eq!(alter(&mut house, vec![remove("a", 1)], vec![]), [done("a")]);
    assert_eq!(house.image().scram.size(), 1);
}

#[test]
fn what_is_refused() {
    let mut house = House::new();
    alter(&mut house, vec![], vec![set("a", 1)]);
    let mut refused = |deletions, upsertions| {
        let (_, code, sentence) = alter(&mut house, deletions, upsertions).remove(0);
        assert_eq!(house.image().scram.size(), 1);
        (code, sentence)
    };
    let sentence = |code, sentence: &str| (code, sentence.to_owned());
    let twice = sentence(92, "A user credential cannot be altered twice in the same request");
    assert_eq!(refused(vec![remove("a", 1), remove("a", 1)], vec![]), twice);
    assert_eq!(refused(vec![remove("a", 1)], vec![set("a", 2)]), twice);
    assert_eq!(refused(vec![], vec![set("b", 1), set("b", 2), set("b", 1)]), twice);
    let unknown = sentence(91, "Attempt to delete a user credential that does not exist");
    assert_eq!(refused(vec![remove("a", 2)], vec![]), unknown);
    assert_eq!(refused(vec![], vec![set("", 1)]), sentence(93, "Username must not be empty"));
    assert_eq!(refused(vec![], vec![set("b", 3)]), sentence(33, "Unknown SCRAM mechanism"));
    let few = ScramCredentialUpsertion { iterations: 4_095, ..set("b", 1) };
    assert_eq!(refused(vec![], vec![few]), sentence(93, "Too few iterations"));
    let many = ScramCredentialUpsertion { iterations: 16_385, ..set("b", 1) };
    assert_eq!(refused(vec![], vec![many]), sentence(93, "Too many iterations"));
    house.write(vec![FeatureLevelRecord { name: "metadata.version".into(), feature_level: 10 }.into()]);
    let (_, code, said) = alter(&mut house, vec![], vec![set("b", 1)]).remove(0);
    assert_eq!((code, &*said), (35, "The current metadata.version does not support SCRAM"));
}
