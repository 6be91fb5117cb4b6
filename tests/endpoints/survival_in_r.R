# Kaplan-Meier, log-rank and Cox figures of R's survival for the data sets of a CSV file (set, time, event, group, stratum): prints CSV.
suppressMessages(library(survival))
arguments <- commandArgs(TRUE)
input <- read.csv(arguments[1])
options(digits = 17)
curves <- NULL
tests <- NULL
for (set in unique(input$set)) {
  rows <- input[input$set == set, ]
  for (type in c("log", "log-log", "plain")) {
    fit <- survfit(Surv(rows$time, rows$event) ~ 1, conf.type = type)
    q <- quantile(fit, c(0.25, 0.5, 0.75))
    mean <- survival:::survmean(fit, rmean = "individual")$matrix
    curves <- rbind(curves, data.frame(set = set, interval = type, time = fit$time, at_risk = fit$n.risk, events = fit$n.event,
      survival = fit$surv, lower = fit$lower, upper = fit$upper, q25 = q$quantile[1], q50 = q$quantile[2], q75 = q$quantile[3],
      q50_lower = q$lower[2], q50_upper = q$upper[2], mean = mean["rmean"], mean_se = mean["se(rmean)"]))
  }
  if (length(unique(rows$group)) > 1 && sum(rows$event) > 0) {
    # survdiff stops where a test has no information at all
    result <- try(data.frame(set = set, chisq = survdiff(Surv(time, event) ~ group, rows)$chisq,
      chisq_strata = survdiff(Surv(time, event) ~ group + strata(stratum), rows)$chisq), silent = TRUE)
    if (!inherits(result, "try-error")) tests <- rbind(tests, result)
  }
}
write.csv(curves, arguments[2], row.names = FALSE)
write.csv(tests, arguments[3], row.names = FALSE)
