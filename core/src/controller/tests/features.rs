//! UpdateFeatures.

use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};

use super::*;

fn update(world: &mut World, feature: &str, max_version_level: i16, upgrade_type: i8) -> (i16, String) {
    let update = FeatureUpdateKey {
        feature: feature.into(),
        max_version_level,
        upgrade_type,
        ..FeatureUpdateKey::default()
    };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], ..UpdateFeaturesRequest::default() };
    match world.ask(ControllerRequest::UpdateFeatures(request)) {
        ControllerResponse::UpdateFeatures(response) => {
            (response.error_code, response.error_message.map(String::from).unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_refused() {
    let mut world = World::new();
    for (feature, level, upgrade_type, reason) in [
        (
            "nope",
            2,
            1,
            "Invalid update version 2 for feature nope. Local controller 1 does not support this feature.",
        ),
        (
            "metadata.version",
            29,
            1,
            "Invalid update version 29 for feature metadata.version. Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.",
        ),
        (
            "metadata.version",
            29,
            2,
            "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the requested downgrade because it might delete metadata information.",
        ),
        (
            "metadata.version",
            29,
            3,
            "Unsupported metadata.version downgrade from 30 to 29. Unsafe metadata downgrade is not supported in this version.",
        ),
        (
            "metadata.version",
            3,
            2,
            "Invalid update version 3 for feature metadata.version. Local controller 1 only supports versions 7-30",
        ),
        (
            "metadata.version",
            30,
            7,
            "Invalid update version 30 for feature metadata.version. The controller does not support the given upgrade type.",
        ),
        (
            "metadata.version",
            -1,
            1,
            "Invalid update version -1 for feature metadata.version. A feature version cannot be less than 0.",
        ),
        (
            "kraft.version",
            0,
            2,
            "Invalid update version 0 for feature kraft.version. Can't downgrade the version of this feature.",
        ),
        (
            "transaction.version",
            2,
            1,
            "Invalid update version 2 for feature transaction.version. Local controller 1 does not support this feature.",
        ),
    ] {
        let sentence =
            format!("The update failed for all features since the following feature had an error: {reason}");
        assert_eq!(update(&mut world, feature, level, upgrade_type), (95, sentence));
    }
}

#[test]
fn what_changes() {
    let mut world = World::new();
    let elr = "eligible.leader.replicas.version";
    assert_eq!(update(&mut world, "metadata.version", 30, 1).0, 0);
    assert_eq!(update(&mut world, "kraft.version", 1, 1).0, 0);
    assert_eq!(update(&mut world, elr, 0, 2).0, 0);
    assert_eq!(world.image().features().level(elr), 0);
    assert!(world.published.last().is_some_and(|published| published.delta.features_changed));
    assert_eq!(update(&mut world, elr, 1, 1).0, 0);
    assert_eq!(world.image().features().level(elr), 1);
}
