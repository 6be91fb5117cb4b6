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
      median_lower = summary(fit)$table["0.95LCL"], median_upper = summary(fit)$table["0.95UCL"], mean = mean["rmean"], mean_se = mean["se(rmean)"]))
  }
  if (length(unique(rows$group)) > 1 && sum(rows$event) > 0) {
    # survdiff stops where a test has no information at all
    result <- try(data.frame(set = set, chisq = survdiff(Surv(time, event) ~ group, rows)$chisq,
      chisq_strata = survdiff(Surv(time, event) ~ group + strata(stratum), rows)$chisq), silent = TRUE)
    if (!inherits(result, "try-error")) tests <- rbind(tests, result)
  }
}
fits <- NULL
for (set in unique(input$set)) for (ties in c("efron", "breslow")) {
  rows <- input[input$set == set, ]
  if (sum(rows$event) < 8) next
  control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
  for (stratified in c(FALSE, TRUE)) {
    formula <- if (stratified) Surv(time, event) ~ covariate + strata(stratum) else Surv(time, event) ~ covariate
    fit <- suppressWarnings(coxph(formula, rows, ties = ties, control = control))
    fits <- rbind(fits, data.frame(set = set, ties = ties, stratified = stratified, coefficient = unname(coef(fit)), error = sqrt(vcov(fit)[1, 1]),
      null = fit$loglik[1], fitted = fit$loglik[2], score = fit$score))
  }
}
write.csv(fits, arguments[4], row.names = FALSE)
write.csv(curves, arguments[2], row.names = FALSE)
write.csv(tests, arguments[3], row.names = FALSE)
