package trial;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.r5.utils.validation.IValidationPolicyAdvisor.ReferenceDestinationType;

/**
 * HL7's own instance validator, offline: Validate r4|r5 FOLDER, where FOLDER holds the StructureDefinitions, CodeSystems and ValueSets
 * that HL7 does not publish. Reads a path a line on stdin, answers a JSON object a line on stdout, in the order in which they are done.
 *
 * The validator reads HL7's registry of OIDs (1.5 MB) anew for each resource, nine tenths of its time, to know which OID of an identifier
 * it has heard of. An empty `oidregistry.csv` stands before it on the class path, here and in the server: what is judged has no OIDs.
 */
public final class Validate {
  public static void main(String[] args) throws Exception {
    FhirContext ctx = args[0].equals("r5") ? FhirContext.forR5Cached() : FhirContext.forR4Cached();
    PrePopulatedValidationSupport ours = new PrePopulatedValidationSupport(ctx);
    try (DirectoryStream<Path> definitions = Files.newDirectoryStream(Path.of(args[1]), "*.json")) {
      for (Path p : definitions) ours.addResource(ctx.newJsonParser().parseResource(Files.readString(p)));
    }
    UnknownCodeSystemWarningValidationSupport unknown = new UnknownCodeSystemWarningValidationSupport(ctx);
    unknown.setNonExistentCodeSystemSeverity(ca.uhn.fhir.context.support.IValidationSupport.IssueSeverity.WARNING);
    ValidationSupportChain chain = new ValidationSupportChain(
        ours,
        new DefaultProfileValidationSupport(ctx),
        new SnapshotGeneratingValidationSupport(ctx),
        new CommonCodeSystemsTerminologyService(ctx),          // UCUM, BCP-47, ISO-3166, MIME ...
        new InMemoryTerminologyServerValidationSupport(ctx),
        unknown);
    FhirInstanceValidator module = new FhirInstanceValidator(chain);
    module.setNoTerminologyChecks(false);
    module.setErrorForUnknownProfiles(true);
    module.setAssumeValidRestReferences(true);            // check the type named in "Patient/1" without resolving it
    module.setValidatorPolicyAdvisor(new FhirDefaultPolicyAdvisor() {
      @Override public ReferenceValidationPolicy policyForReference(IResourceValidator v, Object c, String path, String url,
          ReferenceDestinationType d) { return ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS; }   // default IGNORE skips target types
    });
    module.setValidatorResourceFetcher(new OfflineFetcher());
    FhirValidator validator = ctx.newValidator().registerValidatorModule(module);

    ExecutorService workers = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      Path path = Path.of(line.trim());
      workers.submit(() -> answer(check(validator, path)));
    }
    workers.shutdown();
    workers.awaitTermination(1, TimeUnit.HOURS);
    System.exit(0);
  }

  private static synchronized void answer(String line) {
    System.out.println(line);
    System.out.flush();
  }

  /** Nothing can be fetched offline: references stay unresolved, but their stated target type is still checked. */
  private static final class OfflineFetcher implements IValidatorResourceFetcher {
    @Override public org.hl7.fhir.r5.elementmodel.Element fetch(IResourceValidator v, Object c, String url) { return null; }
    @Override public boolean resolveURL(IResourceValidator v, Object c, String path, String url, String type, boolean canonical,
        List<org.hl7.fhir.r5.model.CanonicalType> targets) { return true; }
    @Override public byte[] fetchRaw(IResourceValidator v, String url) { return null; }
    @Override public IValidatorResourceFetcher setLocale(java.util.Locale l) { return this; }
    @Override public org.hl7.fhir.r5.model.CanonicalResource fetchCanonicalResource(IResourceValidator v, Object c, String url) { return null; }
    @Override public boolean fetchesCanonicalResource(IResourceValidator v, String url) { return false; }
    @Override public java.util.Set<ResourceVersionInformation> fetchCanonicalResourceVersions(IResourceValidator v, Object c, String url) {
      return java.util.Set.of();
    }
  }

  private static String check(FhirValidator validator, Path p) {
    StringBuilder b = new StringBuilder("{\"file\":").append(q(p.toString())).append(",\"issues\":[");
    String sep = "";
    try {
      for (SingleValidationMessage m : validator.validateWithResult(Files.readString(p)).getMessages()) {
        b.append(sep).append(issue(m.getSeverity().getCode(), m.getLocationString(), m.getMessageId(), m.getMessage()));
        sep = ",";
      }
    } catch (Exception e) {
      b.append(sep).append(issue("fatal", null, null, e.toString()));
    }
    return b.append("]}").toString();
  }

  private static String issue(String severity, String location, String id, String message) {
    return "{\"severity\":" + q(severity) + ",\"location\":" + q(location) + ",\"id\":" + q(id) + ",\"message\":" + q(message) + "}";
  }

  private static String q(String s) {
    if (s == null) return "null";
    StringBuilder b = new StringBuilder("\"");
    for (char c : s.toCharArray()) {
      if (c == '"' || c == '\\') b.append('\\').append(c);
      else if (c < 0x20) b.append(String.format("\\u%04x", (int) c));
      else b.append(c);
    }
    return b.append('"').toString();
  }
  private Validate() {}
}
