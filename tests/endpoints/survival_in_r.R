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
      l25 = q$lower[1], l50 = q$lower[2], l75 = q$lower[3], u25 = q$upper[1], u50 = q$upper[2], u75 = q$upper[3],
      median_lower = summary(fit)$table["0.95LCL"], median_upper = summary(fit)$table["0.95UCL"], mean = mean["rmean"], mean_se = mean["se(rmean)"]))
  }
  if (length(unique(rows$group)) > 1 && sum(rows$event) > 0) {
    # survdiff stops where a test has no information at all
    result <- try({
      plain <- survdiff(Surv(time, event) ~ group, rows)
      data.frame(set = set, chisq = plain$chisq, group = sort(unique(rows$group)), observed = plain$obs, expected = plain$exp,
        chisq_strata = survdiff(Surv(time, event) ~ group + strata(stratum), rows)$chisq)
    }, silent = TRUE)
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
      null = fit$loglik[1], fitted = fit$loglik[2], score = fit$score, second = NA, second_error = NA))
    # two covariates, where the data determine both
    more <- try(suppressWarnings(coxph(update(formula, . ~ . + other), rows, ties = ties, control = control)), silent = TRUE)
    if (!inherits(more, "try-error") && all(is.finite(coef(more))) && max(abs(coef(more))) < 5)
      fits <- rbind(fits, data.frame(set = set, ties = ties, stratified = stratified, coefficient = unname(coef(more)[1]),
        error = sqrt(vcov(more)[1, 1]), null = more$loglik[1], fitted = more$loglik[2], score = more$score, second = unname(coef(more)[2]),
        second_error = sqrt(vcov(more)[2, 2])))
  }
}
write.csv(fits, arguments[4], row.names = FALSE)
write.csv(curves, arguments[2], row.names = FALSE)
write.csv(tests, arguments[3], row.names = FALSE)
