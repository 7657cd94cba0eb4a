//! Security: TLS, SASL, authorization, delegation tokens.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Plugin that decides who may do what; everybody may everything without one.
    "authorizer.class.name" String = "", Any, Low, ReadOnly, NotBuilt;
    /// How long a connection that failed to authenticate is held before it is closed.
    "connection.failed.authentication.delay.ms" Int = "100", AtLeast(0), Low, ReadOnly, Ignored(AUTHENTICATION);
    /// Time after which a SASL connection must authenticate again; 0 for never.
    "connections.max.reauth.ms" Long = "0", Any, Medium, ReadOnly, NotBuilt;
    /// How often expired delegation tokens are removed.
    "delegation.token.expiry.check.interval.ms" Long = "3600000", AtLeast(1), Low, ReadOnly, Honoured;
    /// How long a delegation token is valid unless it is renewed.
    "delegation.token.expiry.time.ms" Long = "86400000", AtLeast(1), Medium, ReadOnly, Honoured;
    /// Age beyond which a delegation token cannot be renewed.
    "delegation.token.max.lifetime.ms" Long = "604800000", AtLeast(1), Medium, ReadOnly, Honoured;
    /// Secret that signs delegation tokens, the same on every node; without one, or with an empty one, there are none.
    "delegation.token.secret.key" Password = null, Any, Medium, ReadOnly, Honoured;
    /// Plugin that makes a principal of an authenticated connection.
    "principal.builder.class" Class = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", Any, Medium, PerBroker, NotBuilt;
    /// Plugin that answers the questions of SASL as a client.
    "sasl.client.callback.handler.class" Class = null, Any, Medium, ReadOnly, NotBuilt;
    /// SASL mechanisms that clients may use.
    "sasl.enabled.mechanisms" List = "GSSAPI", Distinct, Medium, PerBroker, NotBuilt;
    /// Login settings of SASL, in JAAS syntax.
    "sasl.jaas.config" Password = null, Any, Medium, PerBroker, NotBuilt;
    /// The `kinit` program of Kerberos.
    "sasl.kerberos.kinit.cmd" String = "/usr/bin/kinit", Any, Medium, PerBroker, NotBuilt;
    /// Least time between two attempts to renew a Kerberos login.
    "sasl.kerberos.min.time.before.relogin" Long = "60000", Any, Medium, PerBroker, NotBuilt;
    /// Rules that make short names of Kerberos principals.
    "sasl.kerberos.principal.to.local.rules" List = "DEFAULT", Distinct, Medium, PerBroker, NotBuilt;
    /// Kerberos name under which this service runs.
    "sasl.kerberos.service.name" String = null, Any, Medium, PerBroker, NotBuilt;
    /// Random part of the time at which a Kerberos ticket is renewed.
    "sasl.kerberos.ticket.renew.jitter" Double = "0.05", Any, Medium, PerBroker, NotBuilt;
    /// Part of a Kerberos ticket's life after which it is renewed.
    "sasl.kerberos.ticket.renew.window.factor" Double = "0.8", Any, Medium, PerBroker, NotBuilt;
    /// Plugin that answers the questions of a SASL login.
    "sasl.login.callback.handler.class" Class = null, Any, Medium, ReadOnly, NotBuilt;
    /// Plugin that performs a SASL login.
    "sasl.login.class" Class = null, Any, Medium, ReadOnly, NotBuilt;
    /// How long connecting to the identity provider may take.
    "sasl.login.connect.timeout.ms" Int = null, Any, Low, ReadOnly, NotBuilt;
    /// How long the identity provider may take to answer.
    "sasl.login.read.timeout.ms" Int = null, Any, Low, ReadOnly, NotBuilt;
    /// Time before a credential's end by which it should be renewed.
    "sasl.login.refresh.buffer.seconds" Short = "300", Any, Medium, PerBroker, NotBuilt;
    /// Least time between two renewals of a credential.
    "sasl.login.refresh.min.period.seconds" Short = "60", Any, Medium, PerBroker, NotBuilt;
    /// Part of a credential's life after which it is renewed.
    "sasl.login.refresh.window.factor" Double = "0.8", Any, Medium, PerBroker, NotBuilt;
    /// Random part of the time at which a credential is renewed.
    "sasl.login.refresh.window.jitter" Double = "0.05", Any, Medium, PerBroker, NotBuilt;
    /// Longest pause before a failed login is tried again.
    "sasl.login.retry.backoff.max.ms" Long = "10000", Any, Low, ReadOnly, NotBuilt;
    /// First pause before a failed login is tried again.
    "sasl.login.retry.backoff.ms" Long = "100", Any, Low, ReadOnly, NotBuilt;
    /// SASL mechanism towards controllers.
    "sasl.mechanism.controller.protocol" String = "GSSAPI", Any, High, ReadOnly, NotBuilt;
    /// SASL mechanism between brokers.
    "sasl.mechanism.inter.broker.protocol" String = "GSSAPI", Any, Medium, PerBroker, NotBuilt;
    /// Algorithm that signs assertions to the identity provider.
    "sasl.oauthbearer.assertion.algorithm" String = "RS256", OneOfIgnoringCase(&["ES256", "RS256"]), Medium, ReadOnly, NotBuilt;
    /// Audience that assertions name.
    "sasl.oauthbearer.assertion.claim.aud" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// How long assertions are valid.
    "sasl.oauthbearer.assertion.claim.exp.seconds" Int = "300", Between(0, 86_400), Low, ReadOnly, NotBuilt;
    /// Issuer that assertions name.
    "sasl.oauthbearer.assertion.claim.iss" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// Whether each assertion carries a unique number.
    "sasl.oauthbearer.assertion.claim.jti.include" Boolean = "false", Any, Medium, ReadOnly, NotBuilt;
    /// How long before their making assertions are already valid.
    "sasl.oauthbearer.assertion.claim.nbf.seconds" Int = "60", Between(0, 3600), Low, ReadOnly, NotBuilt;
    /// Subject that assertions name.
    "sasl.oauthbearer.assertion.claim.sub" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// File with an assertion that was made elsewhere.
    "sasl.oauthbearer.assertion.file" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// File with the key that signs assertions.
    "sasl.oauthbearer.assertion.private.key.file" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// Passphrase of the key that signs assertions.
    "sasl.oauthbearer.assertion.private.key.passphrase" Password = null, Any, Medium, ReadOnly, NotBuilt;
    /// File with what else assertions say.
    "sasl.oauthbearer.assertion.template.file" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// Client id at the identity provider.
    "sasl.oauthbearer.client.credentials.client.id" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// Client secret at the identity provider.
    "sasl.oauthbearer.client.credentials.client.secret" Password = null, Any, Medium, ReadOnly, NotBuilt;
    /// Difference between clocks that is forgiven when tokens are checked.
    "sasl.oauthbearer.clock.skew.seconds" Int = "30", Any, Low, ReadOnly, NotBuilt;
    /// Audiences of which a token must name one.
    "sasl.oauthbearer.expected.audience" List = "", Distinct, High, ReadOnly, NotBuilt;
    /// Issuer that a token must name.
    "sasl.oauthbearer.expected.issuer" String = null, Any, High, ReadOnly, NotBuilt;
    /// How often the identity provider's keys are fetched anew.
    "sasl.oauthbearer.jwks.endpoint.refresh.ms" Long = "3600000", Any, Low, ReadOnly, NotBuilt;
    /// Longest pause before a failed fetch of keys is tried again.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" Long = "10000", Any, Low, ReadOnly, NotBuilt;
    /// First pause before a failed fetch of keys is tried again.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" Long = "100", Any, Low, ReadOnly, NotBuilt;
    /// Where the identity provider's keys are.
    "sasl.oauthbearer.jwks.endpoint.url" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// Plugin that gets tokens.
    "sasl.oauthbearer.jwt.retriever.class" Class = "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", Any, Medium, ReadOnly, NotBuilt;
    /// Plugin that checks tokens.
    "sasl.oauthbearer.jwt.validator.class" Class = "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", Any, Medium, ReadOnly, NotBuilt;
    /// Scope that is asked of the identity provider.
    "sasl.oauthbearer.scope" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// Claim of a token that holds its scope.
    "sasl.oauthbearer.scope.claim.name" String = "scope", Any, Low, ReadOnly, NotBuilt;
    /// Claim of a token that holds its subject.
    "sasl.oauthbearer.sub.claim.name" String = "sub", Any, Low, ReadOnly, NotBuilt;
    /// Where the identity provider gives tokens.
    "sasl.oauthbearer.token.endpoint.url" String = null, Any, Medium, ReadOnly, NotBuilt;
    /// Plugin that answers the questions of SASL as a server.
    "sasl.server.callback.handler.class" Class = null, Any, Medium, ReadOnly, NotBuilt;
    /// Largest message before authentication has succeeded.
    "sasl.server.max.receive.size" Int = "524288", Any, Medium, ReadOnly, NotBuilt;
    /// Security protocol between brokers, when no listener is named for it.
    "security.inter.broker.protocol" String = "PLAINTEXT", OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly, Honoured;
    /// Plugins that bring security algorithms to a Java machine.
    "security.providers" String = null, Any, Low, ReadOnly, NotBuilt;
    /// Whether a new certificate may name another owner.
    "ssl.allow.dn.changes" Boolean = "false", Any, Low, ReadOnly, NotBuilt;
    /// Whether a new certificate may drop alternative names.
    "ssl.allow.san.changes" Boolean = "false", Any, Low, ReadOnly, NotBuilt;
    /// Cipher suites of TLS; empty takes the library's.
    "ssl.cipher.suites" List = "", Distinct, Medium, PerBroker, NotBuilt;
    /// Whether clients must show a certificate, may, or are not asked.
    "ssl.client.auth" String = "none", OneOf(&["required", "requested", "none"]), Medium, PerBroker, NotBuilt;
    /// Versions of TLS that may be spoken.
    "ssl.enabled.protocols" List = "TLSv1.2,TLSv1.3", Distinct, Medium, PerBroker, NotBuilt;
    /// How a server's name is compared with its certificate; empty for not at all.
    "ssl.endpoint.identification.algorithm" String = "https", Any, Low, PerBroker, NotBuilt;
    /// Plugin that makes TLS engines.
    "ssl.engine.factory.class" Class = null, Any, Low, PerBroker, NotBuilt;
    /// Password of the private key.
    "ssl.key.password" Password = null, Any, Medium, PerBroker, NotBuilt;
    /// Algorithm of a Java machine's key manager.
    "ssl.keymanager.algorithm" String = "SunX509", Any, Medium, PerBroker, NotBuilt;
    /// Certificate chain, in PEM.
    "ssl.keystore.certificate.chain" Password = null, Any, Medium, PerBroker, NotBuilt;
    /// Private key, in PEM.
    "ssl.keystore.key" Password = null, Any, Medium, PerBroker, NotBuilt;
    /// File of the key store.
    "ssl.keystore.location" String = null, Any, Medium, PerBroker, NotBuilt;
    /// Password of the key store.
    "ssl.keystore.password" Password = null, Any, Medium, PerBroker, NotBuilt;
    /// Format of the key store.
    "ssl.keystore.type" String = "JKS", Any, Medium, PerBroker, NotBuilt;
    /// Rules that make short names of certificates' owners.
    "ssl.principal.mapping.rules" String = "DEFAULT", Any, Low, ReadOnly, NotBuilt;
    /// Version of TLS that is preferred.
    "ssl.protocol" String = "TLSv1.3", Any, Medium, PerBroker, NotBuilt;
    /// Security provider of a Java machine for TLS.
    "ssl.provider" String = null, Any, Medium, PerBroker, NotBuilt;
    /// Random generator of a Java machine for TLS.
    "ssl.secure.random.implementation" String = null, Any, Low, PerBroker, NotBuilt;
    /// Algorithm of a Java machine's trust manager.
    "ssl.trustmanager.algorithm" String = "PKIX", Any, Medium, PerBroker, NotBuilt;
    /// Trusted certificates, in PEM.
    "ssl.truststore.certificates" Password = null, Any, Medium, PerBroker, NotBuilt;
    /// File of the trust store.
    "ssl.truststore.location" String = null, Any, Medium, PerBroker, NotBuilt;
    /// Password of the trust store.
    "ssl.truststore.password" Password = null, Any, Medium, PerBroker, NotBuilt;
    /// Format of the trust store.
    "ssl.truststore.type" String = "JKS", Any, Medium, PerBroker, NotBuilt;
}
