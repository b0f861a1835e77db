"""The reporting wing: one execution in, a verdict, a scorecard and the pages out."""
