//! Kafka's wire messages, declared once as tables of facts.
