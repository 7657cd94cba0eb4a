//! The components in a real browser: `wasm-pack test --headless --chrome web`.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ottla_web::components::terminal::{Terminal, TerminalProps};
use ottla_web::components::{Cluster, ClusterProps, Groups, GroupsProps, Wire, WireProps};
use ottla_web::draw::Hues;
use ottla_web::i18n::Lang;
use ottla_web::playground::{
    BrokerView, CellView, FlightView, GroupView, Input, LineKind, LineView, MessageKind, OffsetView,
    PartitionView, Place, ReplicaView, TerminalView, TopicView, View,
};
use ottla_web::wire::Clock;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{Element, HtmlInputElement, KeyboardEvent, KeyboardEventInit};
use yew::platform::time::sleep;
use yew::{BaseComponent, Callback};

wasm_bindgen_test_configure!(run_in_browser);

/// Renders a component into an element of its own and waits until it is drawn.
async fn render<C: BaseComponent>(props: C::Properties) -> Element {
    let document = web_sys::window().and_then(|window| window.document()).expect("a document");
    let place = document.create_element("div").expect("an element");
    document.body().expect("a body").append_child(&place).expect("a place");
    yew::Renderer::<C>::with_root_and_props(place.clone(), props).render();
    settle().await;
    place
}

async fn settle() {
    sleep(Duration::from_millis(30)).await;
}

fn count(place: &Element, selector: &str) -> u32 {
    place.query_selector_all(selector).expect("a selector").length()
}

fn text(place: &Element, selector: &str) -> String {
    place
        .query_selector(selector)
        .expect("a selector")
        .and_then(|element| element.text_content())
        .unwrap_or_default()
}

fn view() -> View {
    let cell = |offset: i64| CellView {
        offset,
        key: Some(if offset % 2 == 0 { "D" } else { "G" }.into()),
        value: "커피 주문".into(),
        timestamp: offset,
        bytes: 70,
    };
    let replica = |broker: i32, end: i64| ReplicaView {
        broker,
        log_start_offset: 0,
        high_watermark: 5.min(end),
        log_end_offset: end,
        last_stable_offset: 5.min(end),
        cells_from: 0,
        cells: (0..end).map(cell).collect(),
    };
    let partition = PartitionView {
        index: 0,
        leader: 1,
        leader_epoch: 0,
        replicas: vec![replica(1, 6), replica(2, 5), replica(3, 2)],
        isr: vec![1, 2],
    };
    let topic = TopicView {
        name: "exam-topic".into(),
        id: String::new(),
        internal: false,
        partitions: vec![partition],
    };
    let offset = OffsetView { topic: "exam-topic".into(), partition: 0, committed: 2, log_end: 5, lag: 3 };
    let group = GroupView {
        id: "exam-group".into(),
        state: "Empty".into(),
        generation: 1,
        protocol: "range".into(),
        members: Vec::new(),
        offsets: vec![offset],
    };
    let broker = |id: i32| BrokerView {
        id,
        is_running: id != 3,
        is_fenced: id == 3,
        controller: id == 2,
        port: 9092,
        process_id: 100 * id.unsigned_abs() + 1,
        ..BrokerView::default()
    };
    View {
        now_us: 1,
        brokers: (1..=3).map(broker).collect(),
        topics: vec![topic],
        groups: vec![group],
        ..View::default()
    }
}

fn cluster(view: View) -> ClusterProps {
    let mut hues = Hues::default();
    hues.learn(&view);
    ClusterProps {
        lang: Lang::Ko,
        view: Rc::new(view),
        hues: Rc::new(hues),
        folded: Rc::default(),
        selected: None,
        on_select: Callback::noop(),
        on_fold: Callback::noop(),
        on_type: Callback::noop(),
        on_command: Callback::noop(),
    }
}

#[wasm_bindgen_test]
async fn a_partition_is_a_row_of_replicas_with_their_lines_and_flags() {
    let place = render::<Cluster>(cluster(view())).await;
    assert_eq!(count(&place, ".row"), 3);
    assert_eq!(count(&place, ".row.leads .cell"), 6);
    assert_eq!(count(&place, ".row.leads .cell.uncommitted"), 1, "what lies past the high watermark");
    assert_eq!(text(&place, ".leads .hw-tag text"), "HW 5");
    assert_eq!(text(&place, ".leads .flag .lag text"), "lag 3");
    assert_eq!(text(&place, ".follows .gap text"), "−1");
    assert_eq!(text(&place, ".out .badge text"), "ISR✕");
    assert_eq!(text(&place, ".out .gap text"), "−4");
    assert_eq!(count(&place, ".row.gone"), 1, "the log of a broker that is down");
    assert_eq!(count(&place, ".flag"), 1, "flags are on the leader's lane");
    assert!(text(&place, ".row-name").contains("ISR 2/3"));
    assert_eq!(text(&place, "table.replicas tbody th"), "exam-topic-0", "the drawing is mirrored by a table");
    assert_eq!(count(&place, "table.replicas tbody tr"), 3);
}

#[wasm_bindgen_test]
async fn the_buttons_of_a_broker_are_commands() {
    let typed = Rc::new(RefCell::new(Vec::new()));
    let on_command = {
        let typed = typed.clone();
        Callback::from(move |command: String| typed.borrow_mut().push(command))
    };
    let place = render::<Cluster>(ClusterProps { on_command, ..cluster(view()) }).await;
    assert_eq!(count(&place, ".broker-head"), 3);
    assert!(text(&place, ".broker-head.unwell .pill.fault").contains("꺼짐"), "a word, not a colour");
    for selector in [".broker-head button", ".broker-head.unwell button"] {
        let button = place.query_selector(selector).expect("a selector").expect("a button");
        button.unchecked_into::<web_sys::HtmlElement>().click();
    }
    let commands = ["kill -9 101", "kafka-server-start.sh -daemon /opt/kafka/config/server-3.properties"];
    assert_eq!(*typed.borrow(), commands);
}

#[wasm_bindgen_test]
async fn frames_are_shapes_on_lines_with_names_while_the_clock_stands() {
    let flight = |number: u64, kind: MessageKind, api: &str, is_response: bool| FlightView {
        number,
        from: Place::Broker(if is_response { 2 } else { 1 }),
        to: Place::Broker(if is_response { 1 } else { 2 }),
        api: api.into(),
        kind,
        is_response,
        sent_us: 1_000 * number,
        arrives_us: 10_000 * number + 10_000,
        is_over: false,
    };
    let flights = vec![
        flight(1, MessageKind::Fetch, "Fetch", false),
        flight(2, MessageKind::Control, "BrokerHeartbeat", true),
    ];
    let clock = Clock { now_us: 10_000, is_playing: false, speed: 1.0, is_still: false };
    let props = WireProps {
        lang: Lang::Ko,
        view: Rc::new(view()),
        flights: Rc::new(flights),
        edges: Rc::default(),
        clock,
    };
    let place = render::<Wire>(props).await;
    assert_eq!(count(&place, ".wire > svg .flight"), 2);
    assert_eq!(count(&place, ".wire > svg .flight circle"), 1);
    assert_eq!(count(&place, ".wire > svg .flight.response"), 1);
    assert_eq!(count(&place, ".wire > svg .flight .heading"), 2, "where it goes");
    assert_eq!(count(&place, ".rail"), 1);
    let svg = text(&place, ".wire > svg");
    assert!(svg.contains("Fetch") && svg.contains("BrokerHeartbeat"), "{svg}");
}

#[wasm_bindgen_test]
async fn an_empty_cluster_names_the_command_that_fills_it() {
    let place = render::<Cluster>(cluster(View { topics: Vec::new(), ..view() })).await;
    assert_eq!(count(&place, ".cell"), 0);
    assert!(text(&place, ".empty code").contains("kafka-topics.sh --create"));
}

#[wasm_bindgen_test]
async fn groups_show_their_lag_in_both_languages() {
    for (lang, title) in [(Lang::Ko, "그룹과 lag"), (Lang::En, "Groups and lag")] {
        let props = GroupsProps { lang, view: Rc::new(view()), on_type: Callback::noop() };
        let place = render::<Groups>(props).await;
        assert_eq!(text(&place, "h2"), title);
        assert_eq!(text(&place, ".lag-number"), "3");
    }
}

/// A terminal, its input field, and what it has sent.
async fn terminal() -> (Element, HtmlInputElement, Rc<RefCell<Vec<Input>>>) {
    let line = LineView { kind: LineKind::Out, text: "Created topic exam-topic.".into() };
    let terminal = TerminalView {
        id: 1,
        prompt: "broker1 bin$".into(),
        running: None,
        lines: vec![line],
        exit_code: Some(0),
    };
    let sent = Rc::new(RefCell::new(Vec::new()));
    let on_input = {
        let sent = sent.clone();
        Callback::from(move |input| sent.borrow_mut().push(input))
    };
    let props = TerminalProps {
        lang: Lang::Ko,
        terminal,
        view: Rc::new(view()),
        typed: None,
        is_playing: true,
        is_running: true,
        on_active: Callback::noop(),
        on_input,
    };
    let place = render::<Terminal>(props).await;
    let field = place.query_selector("input").expect("a selector").expect("an input").unchecked_into();
    (place, field, sent)
}

async fn press(field: &HtmlInputElement, key: &str, change: impl Fn(&KeyboardEventInit)) {
    let init = KeyboardEventInit::new();
    init.set_key(key);
    init.set_bubbles(true);
    init.set_cancelable(true);
    change(&init);
    let event = KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &init).expect("an event");
    field.dispatch_event(&event).expect("dispatched");
    settle().await;
}

#[wasm_bindgen_test]
async fn enter_belongs_to_the_input_method_while_a_syllable_is_composed() {
    let (_, field, sent) = terminal().await;
    field.set_value("D:주문 취");
    press(&field, "Enter", |init| init.set_is_composing(true)).await;
    press(&field, "Enter", |init| init.set_key_code(229)).await;
    assert_eq!(*sent.borrow(), Vec::new());
    assert_eq!(field.value(), "D:주문 취");

    press(&field, "Enter", |_| ()).await;
    assert_eq!(*sent.borrow(), vec![Input::Line { terminal: 1, text: "D:주문 취".into() }]);
    assert_eq!(field.value(), "");
}

#[wasm_bindgen_test]
async fn arrows_walk_the_history_and_tab_completes() {
    let (place, field, _) = terminal().await;
    assert_eq!(text(&place, "[role=log] p"), "Created topic exam-topic.");
    field.set_value("kafka-topics.sh --list");
    press(&field, "Enter", |_| ()).await;
    press(&field, "ArrowUp", |_| ()).await;
    assert_eq!(field.value(), "kafka-topics.sh --list");
    press(&field, "ArrowDown", |_| ()).await;
    assert_eq!(field.value(), "");

    field.set_value("kafka-console-consumer.sh --topic ex");
    press(&field, "Tab", |_| ()).await;
    assert_eq!(field.value(), "kafka-console-consumer.sh --topic exam-topic ");
}

#[wasm_bindgen_test]
async fn control_c_interrupts() {
    let (_, field, sent) = terminal().await;
    field.set_value("half a li");
    press(&field, "c", |init| init.set_ctrl_key(true)).await;
    assert_eq!(*sent.borrow(), vec![Input::Interrupt { terminal: 1 }]);
    assert_eq!(field.value(), "");
}
