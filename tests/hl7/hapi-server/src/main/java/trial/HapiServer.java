package trial;

import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.IDaoRegistry;
import ca.uhn.fhir.jpa.api.dao.DaoRegistry;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binstore.DatabaseBinaryContentStorageSvcImpl;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.r5.JpaR5Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirPostgresDialect;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.rest.api.server.SystemRequestDetails;
import ca.uhn.fhir.rest.server.IncomingRequestAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.validation.IValidatorModule;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import jakarta.persistence.EntityManagerFactory;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import javax.sql.DataSource;
import org.apache.commons.dbcp2.BasicDataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;

/** A real HAPI FHIR JPA server (R4 or R5) in one process, on H2 or PostgreSQL: HapiServer r4|r5 PORT [H2_FILE|mem|jdbc:postgresql:...]. */
public final class HapiServer {

  @Configuration
  @Import({HapiJpaConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class, ThreadPoolFactoryConfig.class,
      SubscriptionSubmitterConfig.class, SubscriptionChannelConfig.class})
  public static class Common {
    @Bean public JpaStorageSettings jpaStorageSettings() {
      JpaStorageSettings s = new JpaStorageSettings();
      s.setAllowMultipleDelete(true);
      s.setExpungeEnabled(true);
      s.setDeleteExpungeEnabled(true);
      s.setAllowExternalReferences(true);
      s.setReuseCachedSearchResultsForMillis(null);   // tests: every search sees the latest write
      s.setHibernateSearchIndexFullText(false);
      s.setHibernateSearchIndexSearchParams(false);
      s.setMarkResourcesForReindexingUponSearchParameterChange(false);
      // bulk export needs the batch2 scheduler: leave scheduling on
      return s;
    }
    @Bean public PartitionSettings partitionSettings() { return new PartitionSettings(); }
    @Bean public SubscriptionSettings subscriptionSettings() { return new SubscriptionSettings(); }
    @Bean public IBinaryStorageSvc binaryStorageSvc() { return new DatabaseBinaryContentStorageSvcImpl(); }

    @Bean(destroyMethod = "close") public DataSource dataSource() {
      BasicDataSource ds = new BasicDataSource();
      ds.setUrl(System.getProperty("trial.jdbc"));
      ds.setUsername("sa");
      ds.setPassword("");
      ds.setMaxTotal(20);
      return ds;
    }

    @Bean @Primary public LocalContainerEntityManagerFactoryBean entityManagerFactory(
        DataSource dataSource, ConfigurableListableBeanFactory beans, FhirContext ctx, JpaStorageSettings settings) {
      LocalContainerEntityManagerFactoryBean f =
          HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, ctx, settings);
      f.setPersistenceUnitName("HAPI_PU");
      f.setDataSource(dataSource);
      Properties p = new Properties();
      boolean postgres = System.getProperty("trial.jdbc").startsWith("jdbc:postgresql:");
      p.put("hibernate.dialect", (postgres ? HapiFhirPostgresDialect.class : HapiFhirH2Dialect.class).getName());
      p.put("hibernate.hbm2ddl.auto", System.getProperty("trial.jdbc").startsWith("jdbc:h2:mem") ? "create" : "update");
      p.put("hibernate.jdbc.batch_size", "20");
      p.put("hibernate.cache.use_query_cache", "false");
      p.put("hibernate.cache.use_second_level_cache", "false");
      p.put("hibernate.search.enabled", "false");
      f.setJpaProperties(p);
      return f;
    }

    @Bean @Primary public JpaTransactionManager transactionManager(EntityManagerFactory emf) {
      JpaTransactionManager tm = new JpaTransactionManager();
      tm.setEntityManagerFactory(emf);
      return tm;
    }
  }

  @Configuration @Import({JpaR4Config.class, Common.class}) public static class R4 {}
  @Configuration @Import({JpaR5Config.class, Common.class}) public static class R5 {}

  public static void main(String[] args) throws Exception {
    long t0 = System.currentTimeMillis();
    String release = args[0];
    int port = Integer.parseInt(args[1]);
    String db = args.length > 2 ? args[2] : "mem";
    System.setProperty("trial.jdbc", db.equals("mem")
        ? "jdbc:h2:mem:hapi" + release + ";DB_CLOSE_DELAY=-1" : db.startsWith("jdbc:") ? db : "jdbc:h2:file:" + db);

    AnnotationConfigWebApplicationContext app = new AnnotationConfigWebApplicationContext();
    app.register(release.equals("r5") ? R5.class : R4.class);

    Server server = new Server();
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler("/");
    app.setServletContext(context.getServletContext());
    app.refresh();

    IFhirSystemDao<?, ?> systemDao = app.getBean(IFhirSystemDao.class);
    RestfulServer fhir = new RestfulServer(app.getBean(FhirContext.class));
    app.getAutowireCapableBeanFactory().autowireBean(fhir);
    fhir.registerProviders(app.getBean(ResourceProviderFactory.class).createProviders());
    fhir.registerProvider(app.getBean(IJpaSystemProvider.class));
    fhir.registerProvider(app.getBean(BulkDataExportProvider.class));
    JpaCapabilityStatementProvider cap = new JpaCapabilityStatementProvider(fhir, systemDao,
        app.getBean(JpaStorageSettings.class), app.getBean(ISearchParamRegistry.class),
        app.getBean(IValidationSupport.class));
    cap.setImplementationDescription("HAPI FHIR " + release.toUpperCase() + " (test)");
    fhir.setServerConformanceProvider(cap);
    fhir.setPagingProvider(app.getBean(DatabaseBackedPagingProvider.class));
    fhir.setServerAddressStrategy(new IncomingRequestAddressStrategy());

    if (Boolean.getBoolean("trial.validate")) {   // reject what the HL7 validator calls an error
      RequestValidatingInterceptor v = new RequestValidatingInterceptor();
      v.setFailOnSeverity(ResultSeverityEnum.ERROR);
      v.setValidatorModules(java.util.List.of(app.getBean(IValidatorModule.class)));
      fhir.registerInterceptor(v);
    }

    if (System.getProperty("trial.definitions") != null) {
      load(app, Path.of(System.getProperty("trial.definitions")));
    }

    context.addServlet(new ServletHolder(fhir), "/fhir/*");
    server.setHandler(context);
    server.setStopAtShutdown(true);
    server.start();
    System.out.printf("READY http://127.0.0.1:%d/fhir %d ms%n", connector.getLocalPort(), System.currentTimeMillis() - t0);
    System.out.flush();
    // Bulk export is a "gated" batch2 job: each step waits for a maintenance pass (60 s by default).
    IJobMaintenanceService jobs = app.getBean(IJobMaintenanceService.class);
    Thread ticker = new Thread(() -> {
      while (true) {
        try { Thread.sleep(500); jobs.runMaintenancePass(); }
        catch (InterruptedException e) { return; }
        catch (RuntimeException e) { /* next pass */ }
      }
    }, "batch2-ticker");
    ticker.setDaemon(true);
    ticker.start();
    server.join();
  }

  /** Store the conformance resources of a folder: past the request validation, which cannot make snapshots offline. */
  @SuppressWarnings("unchecked")
  private static void load(AnnotationConfigWebApplicationContext app, Path folder) throws Exception {
    DaoRegistry daos = app.getBean(DaoRegistry.class);
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.json")) {
      for (Path p : files) {
        IBaseResource resource = app.getBean(FhirContext.class).newJsonParser().parseResource(Files.readString(p));
        daos.getResourceDao((Class<IBaseResource>) resource.getClass()).update(resource, new SystemRequestDetails());
      }
    }
  }
  private HapiServer() {}
}
