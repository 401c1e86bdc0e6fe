"""What RoutedLLM does to LlamaIndex programs: their tests, their notebooks, their bill."""
