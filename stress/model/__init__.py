"""The model of cost: what each request takes, and what follows for any number of users. See docs/scaling.md."""
