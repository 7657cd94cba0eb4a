// Writes core/src/quorum/testdata with Apache Kafka: fills the metadata log of a running broker (combined node, StandardAuthorizer,
// metadata.max.idle.interval.ms=0, two log directories, a rack), and writes what Kafka's image writer makes of the log.
//
//   javac -cp 'libs/*' -d out tests/metadata/MetadataFixture.java
//   java -cp 'libs/*:out' Fill                        (then stop the broker)
//   java -cp 'libs/*:out' Oracle .../__cluster_metadata-0/00000000000000000000.log core/src/quorum/testdata/image.bin

import java.io.*;
import java.nio.*;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.*;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.image.*;
import org.apache.kafka.image.writer.*;
import org.apache.kafka.metadata.*;
import org.apache.kafka.server.common.*;

final class Fill { public static void main(String[] x) throws Exception {
 Properties p=new Properties(); p.put("bootstrap.servers","localhost:19092");
 try(Admin a=Admin.create(p)){
  a.createTopics(List.of(new NewTopic("orders",3,(short)1).configs(Map.of("retention.ms","1000","cleanup.policy","compact")), new NewTopic("gone",2,(short)1), new NewTopic("a.b",1,(short)1))).all().get();
  a.createPartitions(Map.of("orders",NewPartitions.increaseTo(5))).all().get();
  a.deleteTopics(List.of("gone")).all().get();
  a.incrementalAlterConfigs(Map.of(
   new ConfigResource(ConfigResource.Type.TOPIC,"orders"), List.of(new AlterConfigOp(new ConfigEntry("retention.ms","2000"),AlterConfigOp.OpType.SET), new AlterConfigOp(new ConfigEntry("cleanup.policy",""),AlterConfigOp.OpType.DELETE)),
   new ConfigResource(ConfigResource.Type.BROKER,"1"), List.of(new AlterConfigOp(new ConfigEntry("log.cleaner.threads","2"),AlterConfigOp.OpType.SET)),
   new ConfigResource(ConfigResource.Type.BROKER,""), List.of(new AlterConfigOp(new ConfigEntry("background.threads","11"),AlterConfigOp.OpType.SET)),
   new ConfigResource(ConfigResource.Type.GROUP,"g"), List.of(new AlterConfigOp(new ConfigEntry("consumer.session.timeout.ms","50000"),AlterConfigOp.OpType.SET)),
   new ConfigResource(ConfigResource.Type.CLIENT_METRICS,"m"), List.of(new AlterConfigOp(new ConfigEntry("interval.ms","1000"),AlterConfigOp.OpType.SET)))).all().get();
  Map<String,String> e=new HashMap<>(); e.put("user","alice"); e.put("client-id",null);
  a.alterClientQuotas(List.of(new ClientQuotaAlteration(new ClientQuotaEntity(e),List.of(new ClientQuotaAlteration.Op("producer_byte_rate",1024.0),new ClientQuotaAlteration.Op("consumer_byte_rate",7.0))),new ClientQuotaAlteration(new ClientQuotaEntity(Map.of("ip","127.0.0.1")),List.of(new ClientQuotaAlteration.Op("connection_creation_rate",5.0))))).all().get();
  a.alterClientQuotas(List.of(new ClientQuotaAlteration(new ClientQuotaEntity(e),List.of(new ClientQuotaAlteration.Op("consumer_byte_rate",null))))).all().get();
  a.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("alice",new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256,4096),"secret"),new UserScramCredentialUpsertion("bob",new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512,8192),"secret"))).all().get();
  a.alterUserScramCredentials(List.of(new UserScramCredentialDeletion("bob",ScramMechanism.SCRAM_SHA_512))).all().get();
  AclBinding b1=new AclBinding(new ResourcePattern(ResourceType.TOPIC,"orders",PatternType.LITERAL),new AccessControlEntry("User:alice","*",AclOperation.READ,AclPermissionType.ALLOW)), b2=new AclBinding(new ResourcePattern(ResourceType.GROUP,"g",PatternType.PREFIXED),new AccessControlEntry("User:bob","10.0.0.1",AclOperation.ALL,AclPermissionType.DENY));
  a.createAcls(List.of(b1,b2)).all().get(); a.deleteAcls(List.of(b2.toFilter())).all().get();
  p.put("key.serializer","org.apache.kafka.common.serialization.StringSerializer"); p.put("value.serializer","org.apache.kafka.common.serialization.StringSerializer");
  try(Producer<String,String> pr=new KafkaProducer<>(p)){ pr.send(new ProducerRecord<>("orders","k","v")).get(); }
  a.updateFeatures(Map.of("group.version",new FeatureUpdate((short)0,FeatureUpdate.UpgradeType.SAFE_DOWNGRADE)), new UpdateFeaturesOptions()).all().get();
 }}}

/** Replays a metadata log with Kafka's own image and writes what its image writer makes of it: for each metadata.version its level and count, then each record with its length. */
final class Oracle { public static void main(String[] a) throws Exception {
  MetadataDelta d=new MetadataDelta.Builder().setImage(MetadataImage.EMPTY).build(); MetadataRecordSerde serde=new MetadataRecordSerde();
  for (var b: FileRecords.open(new File(a[0])).batches()) { if(b.isControlBatch()) continue; for (var r: b) { ByteBuffer v=r.value(); ApiMessage m=serde.read(new ByteBufferAccessor(v), v.remaining()).message(); if(!m.getClass().getSimpleName().contains("Transaction")) d.replay(m); } }
  MetadataImage image=d.apply(new MetadataProvenance(1,1,1,true));
  DataOutputStream out=new DataOutputStream(new FileOutputStream(a[1]));
  for (MetadataVersion mv: MetadataVersion.values()) { if(!mv.isProduction()) continue;
    RecordListWriter w=new RecordListWriter(); image.write(w,new ImageWriterOptions.Builder(mv).setEligibleLeaderReplicasEnabled(mv.isElrSupported()).setLossHandler(l->{}).build()); 
    out.writeShort(mv.featureLevel()); out.writeInt(w.records().size());
    for (ApiMessageAndVersion m: w.records()) { ObjectSerializationCache c=new ObjectSerializationCache(); int n=serde.recordSize(m,c); ByteBuffer bb=ByteBuffer.allocate(n); serde.write(m,c,new ByteBufferAccessor(bb)); out.writeInt(n); out.write(bb.array()); } }
  out.close(); } }
