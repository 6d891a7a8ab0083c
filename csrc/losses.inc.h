/* The table of losses. Each computes value and derivative in one pass; sums are kept in double, whatever
 * the element type. */
#ifndef FASTNN_LOSSES_INC_H
#define FASTNN_LOSSES_INC_H

#include "cross_entropies.inc.h"
#include "element_losses.inc.h"
#include "focal.inc.h"

static const fnn_loss NAME(losses)[] = {
    {"binary_cross_entropy", 1, 0, 0, NAME(binary_cross_entropy), NULL},
    {"categorical_cross_entropy", 1, 0, 0, NAME(categorical_cross_entropy),
     NAME(categorical_cross_entropy_labels)},
    {"mean_squared_error", 0, 0, 0, NAME(mean_squared_error), NULL},
    {"mean_absolute_error", 0, 0, 0, NAME(mean_absolute_error), NULL},
    {"huber", 0, 0, 1, NAME(huber), NULL},
    {"log_cosh", 0, 0, 0, NAME(log_cosh), NULL},
    {"quantile", 0, 1, 0, NAME(quantile), NULL},
    {"poisson", 1, 0, 0, NAME(poisson), NULL},
    {"hinge", 0, 0, 0, NAME(hinge), NULL},
    {"squared_hinge", 0, 0, 0, NAME(squared_hinge), NULL},
    {"binary_focal", 1, 0, 1, NAME(binary_focal), NULL},
    {"categorical_focal", 1, 0, 1, NAME(categorical_focal), NULL},
    {NULL, 0, 0, 0, NULL, NULL},
};

#endif
