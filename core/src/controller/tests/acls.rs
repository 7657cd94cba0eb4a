//! CreateAcls and DeleteAcls.

use ottla_protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use ottla_protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};

use super::house::House;
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::Append;

/// `TOPIC name` may be read by `principal`: literally, or by prefix where the name ends with a star that is not all of it.
fn acl(name: &str, principal: &str) -> AclCreation {
    let prefix = name.strip_suffix('*').filter(|prefix| !prefix.is_empty());
    AclCreation {
        resource_type: 2,
        resource_name: prefix.unwrap_or(name).into(),
        resource_pattern_type: if prefix.is_some() { 4 } else { 3 },
        principal: principal.into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    }
}

fn create(house: &mut House, creations: Vec<AclCreation>) -> Vec<(i16, Option<String>)> {
    match house.ask(ControllerRequest::CreateAcls(CreateAclsRequest { creations })) {
        ControllerResponse::CreateAcls(response) => {
            let results = response.results.into_iter();
            results.map(|one| (one.error_code, one.error_message.map(String::from))).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Names of the topics whose entries went.
fn delete(house: &mut House, filter: DeleteAclsFilter) -> Vec<String> {
    match house.ask(ControllerRequest::DeleteAcls(DeleteAclsRequest { filters: vec![filter] })) {
        ControllerResponse::DeleteAcls(mut response) => {
            let result = response.filter_results.remove(0);
            assert_eq!((result.error_code, result.error_message), (0, None));
            let mut names: Vec<String> =
                result.matching_acls.into_iter().map(|acl| acl.resource_name.into()).collect();
            names.sort_unstable();
            names
        }
        other => panic!("{other:?}"),
    }
}

/// Everything.
fn any() -> DeleteAclsFilter {
    DeleteAclsFilter {
        resource_type_filter: 1,
        resource_name_filter: None,
        pattern_type_filter: 1,
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
    }
}

#[test]
fn an_entry_is_there_once() {
    let mut house = House::new();
    let done = (0, None);
    let twice = vec![acl("a", "User:x"), acl("a", "User:x"), acl("a", "User:y")];
    assert_eq!(create(&mut house, twice), [done.clone(), done.clone(), done.clone()]);
    assert_eq!(house.image().acls.size(), 2);
    assert_eq!(create(&mut house, vec![acl("a", "User:x")]), [done]);
    assert_eq!(house.image().acls.size(), 2);
    assert_eq!(delete(&mut house, any()), ["a", "a"]);
    assert_eq!(house.image().acls.size(), 0);
}

#[test]
fn what_is_refused() {
    let mut house = House::new();
    let mut refused = |change: fn(&mut AclCreation)| {
        let mut creation = acl("a", "User:x");
        change(&mut creation);
        let (code, message) = create(&mut house, vec![creation]).remove(0);
        assert_eq!(code, 42);
        message.unwrap_or_default()
    };
    assert_eq!(refused(|one| one.resource_type = 1), "Invalid resourceType ANY");
    assert_eq!(refused(|one| one.resource_type = 99), "Invalid resourceType UNKNOWN");
    assert_eq!(refused(|one| one.resource_pattern_type = 2), "Invalid patternType MATCH");
    assert_eq!(refused(|one| one.operation = 1), "Invalid operation ANY");
    assert_eq!(refused(|one| one.permission_type = 0), "Invalid permissionType UNKNOWN");
    assert_eq!(refused(|one| one.resource_name = "".into()), "Invalid empty resource name");
    assert_eq!(
        refused(|one| one.resource_type = 4),
        "The only valid name for the CLUSTER resource is kafka-cluster"
    );
    assert_eq!(
        refused(|one| one.principal = "x".into()),
        "Could not parse principal from `x` (no colon is present separating the principal type from the principal name)"
    );
    let written = house.log.next_offset();
    let unknown = DeleteAclsFilter { operation: 0, ..any() };
    match house.ask(ControllerRequest::DeleteAcls(DeleteAclsRequest { filters: vec![unknown] })) {
        ControllerResponse::DeleteAcls(response) => {
            let result = &response.filter_results[0];
            assert_eq!(
                (result.error_code, result.error_message.as_deref()),
                (42, Some("Unknown entryFilter."))
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(house.log.next_offset(), written);
}

#[test]
fn what_filters_match() {
    let named = |name: &str, pattern_type_filter| DeleteAclsFilter {
        resource_name_filter: Some(name.into()),
        pattern_type_filter,
        ..any()
    };
    for (filter, gone) in [
        (any(), vec!["*", "ab", "abc", "b"]),
        (named("abc", 3), vec!["abc"]),
        (named("ab", 4), vec!["ab"]),
        (named("ab", 1), vec!["ab"]),
        (named("abc", 2), vec!["*", "ab", "abc"]),
        (DeleteAclsFilter { pattern_type_filter: 4, ..any() }, vec!["ab"]),
        (DeleteAclsFilter { principal_filter: Some("User:y".into()), ..any() }, vec!["b"]),
        (DeleteAclsFilter { operation: 4, ..any() }, vec![]),
        (DeleteAclsFilter { resource_type_filter: 3, ..any() }, vec![]),
        (DeleteAclsFilter { permission_type: 3, ..any() }, vec!["*", "ab", "abc", "b"]),
    ] {
        let mut house = House::new();
        let acls = vec![acl("abc", "User:x"), acl("ab*", "User:x"), acl("*", "User:x"), acl("b", "User:y")];
        create(&mut house, acls);
        let shown = format!("{filter:?}");
        assert_eq!(delete(&mut house, filter), gone, "{shown}");
        assert_eq!(house.image().acls.size(), 4 - gone.len());
    }
}
